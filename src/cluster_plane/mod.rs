//! Cluster Plane: ephemeral clusters come, run, are watched, and go, and nothing is lost.

pub mod certificate;
pub mod health;
pub mod kubeconfig;
pub mod objects;
pub mod order;
pub mod prune;
pub mod remote_error;
pub mod variables;
pub mod yaml;
