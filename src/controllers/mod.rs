//! The reconcilers: one folder per kind, each a pipeline of named steps.
//!
//! [`reconcile`] is what they share: one object in, one pipeline run, one status out. [`run`] wires them to watches.
//! Decisions are pure functions; effects are in [`context`] and in the stores.

mod backoff;
mod caches;
mod conditions;
pub mod context;
mod corrections;
mod delivery;
mod environment_overlay;
mod ephemeral_cluster;
mod events;
mod finalizers;
mod helm_chart;
mod image_upload;
mod import;
pub mod install;
mod intake;
pub mod metrics;
mod outcome;
mod patience;
mod places;
pub mod probes;
mod reconcile;
mod refusals;
pub mod robots;
mod secrets;
mod spec_changes;
mod sweep;
mod unreadable;
mod watch;
mod written;

pub use sweep::sweep;
pub use watch::run;
