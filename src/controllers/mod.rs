//! The reconcilers: one folder per kind, each a pipeline of named steps.

pub mod install;
