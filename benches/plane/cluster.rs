//! How soon a cluster with a node of its own is there, on which pods run.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::process::Command;

use crate::report::Row;

const ROUNDS: usize = 3;
const PROMISE: Duration = Duration::from_secs(15);

/// Measures it.
pub async fn measure() -> Vec<Row> {
    println!("Bringing up a cluster with a node {ROUNDS} times (usually 40 seconds; takes root)");
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        testbed(&["up", "--nodes", "1"]).await;
        times.push(began.elapsed());
        testbed(&["down", "--all"]).await;
    }
    let slowest = times.iter().max().expect("there was a round").as_secs_f64() * 1000.0;
    let promised = PROMISE.as_secs_f64() * 1000.0;
    vec![Row {
        name: "a cluster with a node up, slowest of 3",
        value: slowest,
        unit: "ms",
        beside: promised,
        ratio: promised / slowest,
        beside_what: "the promise",
        promise: "less than 15 s",
        kept: slowest < promised,
    }]
}

/// Does this to a cluster of the benchmark's own.
async fn testbed(arguments: &[&str]) {
    let variable = |name| std::env::var_os(name).unwrap_or_else(|| panic!("make bench sets {name}"));
    let mut command = Command::new(variable("ORBIT_TEST_TESTBED"));
    command.args(arguments).arg("--name").arg(variable("ORBIT_BENCH_CLUSTER")).stdout(Stdio::null());
    let status = command.status().await.expect("testbed runs");
    assert!(status.success(), "testbed {}: {status}", arguments.join(" "));
}
