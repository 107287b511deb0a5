//! Against clusters with real nodes: what is delivered is pulled from the plane's registry, and runs.
//!
//! `testbed` brings the clusters up; ORBIT_TEST_CLUSTERS names them. The plane works in the cluster of KUBECONFIG.

#[path = "../support/cluster.rs"]
mod cluster;
mod credentials;
mod failures;
mod image;
mod losses;
mod outages;
#[path = "../plane/mod.rs"]
mod plane;
mod remote;
mod rollouts;
mod scene;
#[path = "../support/testbed.rs"]
mod testbed;
