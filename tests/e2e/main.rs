//! Against a real API server: the one that KUBECONFIG names. Each test works in a namespace of its own.

mod changed_by;
mod cluster;
mod kinds;
#[path = "../plane/mod.rs"]
mod plane;
