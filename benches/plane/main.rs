//! What the plane promises of its speed, as figures: `make bench` prints them and writes `bench-report.json`.
//!
//! Each figure stands beside what it is compared with, taken in the same run on the same machine, so it means something on
//! any. Names of figures as arguments (`render`, `restart`, `ingest`, `download`, `deliver`, `monitor`, `cluster`) choose
//! among them.

mod cluster;
mod deliver;
mod download;
mod fleet;
mod ingest;
mod line;
mod monitor;
#[path = "../../tests/support/plane.rs"]
mod plane;
#[path = "../../tests/support/registry.rs"]
mod registry;
mod render;
mod report;
mod restart;
mod scene;

#[tokio::main]
async fn main() {
    rustls::crypto::ring::default_provider().install_default().expect("nothing has installed a provider before main");
    // Cargo adds --bench.
    let chosen: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wanted = |figure: &str| chosen.is_empty() || chosen.iter().any(|name| name == figure);
    let mut rows = Vec::new();
    if wanted("cluster") {
        rows.extend(cluster::measure().await);
    }
    if wanted("render") {
        rows.extend(render::measure().await);
    }
    if wanted("restart") {
        rows.extend(restart::measure().await);
    }
    if wanted("ingest") {
        rows.extend(ingest::measure().await);
    }
    if wanted("download") {
        rows.extend(download::measure().await);
    }
    if wanted("deliver") {
        rows.extend(deliver::measure().await);
    }
    if wanted("monitor") {
        rows.extend(monitor::measure().await);
    }
    report::publish(&rows);
}
