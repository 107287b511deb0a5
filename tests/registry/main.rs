//! Stock clients against the registry of a real plane: what they read, and with which credentials.

mod clients;
#[path = "../support/cluster.rs"]
mod cluster;
mod credentials;
#[path = "../plane/mod.rs"]
mod plane;
mod reading;
mod scene;
mod tls;
