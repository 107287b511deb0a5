//! One contract suite per store, run on each of its implementations; and what holds between the stores.

mod chart_store;
mod differences;
mod image_harbor;
mod served;
mod stores_agree;
mod viewport;
