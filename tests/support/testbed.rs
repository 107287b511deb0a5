//! The `testbed` program, which rules clusters on this machine.

use tokio::process::Command;

use crate::plane::Outcome;

/// Runs testbed to its end, which has to be a good one; what it printed on standard output.
pub async fn run(arguments: &[&str]) -> String {
    let program = variable("ORBIT_TEST_TESTBED");
    let output = Command::new(program).args(arguments).kill_on_drop(true).output().await.unwrap();
    let outcome = Outcome::of(&output);
    assert!(outcome.good, "testbed {}: {}", arguments.join(" "), outcome.text);
    String::from_utf8(output.stdout).unwrap()
}

/// Ends a cluster, from where nothing can be awaited.
pub fn down(name: &str) {
    let ended = std::process::Command::new(variable("ORBIT_TEST_TESTBED")).args(["down", "--name", name]).output();
    assert!(std::thread::panicking() || ended.is_ok_and(|it| it.status.success()), "{name} was not ended");
}

/// A variable that tells a test where something is.
pub fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: this test needs clusters, as `make test` brings them up"))
}
