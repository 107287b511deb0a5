//! Flux's own controllers on what the plane publishes: what they apply runs, on clusters with real nodes.
//!
//! The controllers take long to build. `make test-flux` does that and runs this; plain `cargo test` leaves it out.

#[path = "../support/cluster.rs"]
mod cluster;
mod flux;
#[path = "../nodes/image.rs"]
mod image;
#[path = "../plane/mod.rs"]
mod plane;
mod published;
#[allow(dead_code)]
#[path = "../nodes/remote.rs"]
mod remote;
#[allow(dead_code)]
#[path = "../nodes/scene.rs"]
mod scene;
#[path = "../support/testbed.rs"]
mod testbed;
#[path = "../support/gitops.rs"]
mod tools;
