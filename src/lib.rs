//! Orbit Plane: takes a container image to every environment it belongs in and never forgets where it has been.
//!
//! ARCHITECTURE.md says which room a change belongs in.

pub mod api;
pub mod aws;
mod cause;
pub mod chart_store;
pub mod cli;
pub mod cluster_plane;
pub mod controllers;
pub mod digest;
mod embedded;
pub mod failpoint;
pub mod image_harbor;
pub mod listener;
pub mod manifestor;
pub mod overlay;
pub mod portal;
pub mod registry;
pub mod release;
pub mod settings;
pub mod tgz;
pub mod verify;
pub mod viewport;
