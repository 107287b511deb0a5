//! Against a real API server: the one that KUBECONFIG names. Each test works in a namespace of its own.

mod archives;
#[path = "../support/audit.rs"]
mod audit;
mod bad_deliveries;
mod changed_by;
#[path = "../support/cluster.rs"]
mod cluster;
mod clusters;
mod crowds;
mod deliveries;
mod everywhere;
mod fleet;
mod flow;
mod kept;
mod kinds;
mod kubeconfigs;
mod outages;
mod overlays;
mod own_cluster;
#[path = "../plane/mod.rs"]
mod plane;
mod portal;
mod pull_secrets;
mod robots;
mod selection;
mod states;
mod undecodable;
mod uploads;
mod webhook;
