//! Overlays (C28): which release an environment runs, and its manifests there.

pub mod artifact;
pub mod inputs;
pub mod renderer;
pub mod selection;
