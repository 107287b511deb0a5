//! One contract suite per store, run on each of its implementations.

mod chart_store;
mod image_harbor;
