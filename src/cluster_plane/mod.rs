//! Cluster Plane: ephemeral clusters come, run, are watched, and go, and nothing is lost.
//!
//! A [`kubeconfig`] is read with suspicion; a [`Cluster`] is one that answered with it. [`apply`] brings objects there,
//! [`remove`] takes them away, an [`Inventory`] remembers which they are, [`observed`] is what the watches see of them,
//! and [`health`] what that means.

pub mod apply;
mod bounds;
pub mod certificate;
mod cluster;
pub mod credential;
mod fleet;
pub mod health;
mod inventory;
pub mod kinds;
pub mod kubeconfig;
pub mod objects;
pub mod observed;
pub mod order;
mod ownership;
pub mod provisions;
pub mod prune;
pub mod remote_error;
pub mod remove;
mod strangers;
pub mod variables;
mod watch;
pub mod yaml;

pub use cluster::{Cluster, Identity, Unreachable, client, identify};
pub use fleet::{ClusterKey, Fleet, Standing};
pub use inventory::{Held, Inventory, InventoryError};
pub use ownership::{DeliveryKey, Ownership};
