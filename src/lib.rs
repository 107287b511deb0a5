//! Orbit Plane: takes a container image to every environment it belongs in and never forgets where it has been.
//!
//! ARCHITECTURE.md says which room a change belongs in.

pub mod api;
pub mod aws;
mod brief;
mod cause;
pub mod chart_store;
pub mod cli;
pub mod cluster_plane;
pub mod comparison;
pub mod controllers;
pub mod digest;
mod embedded;
pub mod failpoint;
mod guesses;
pub mod image_harbor;
pub mod listener;
pub mod manifestor;
pub mod overlay;
pub mod portal;
pub mod registry;
pub mod release;
pub mod requests;
pub mod settings;
pub mod tgz;
mod transit;
pub mod verify;
pub mod viewport;
