//! Manifestor (C12): turns a stored release into a Helm chart (C24).
//!
//! What goes in is read from the Harbor by [`read_image_config`] and [`resolve_user`]; everything after that is a pure
//! function: [`generate`] makes the chart's files and [`package()`] their bytes, the same for the same input, always.
//!
//! The templates are static files in `templates/`, beside `values.schema.json` which guards their input. What differs
//! from release to release is in `Chart.yaml` and `values.yaml` alone, so that a chart can be understood by reading
//! its values, and an overlay can change whatever the Manifestor decided.

mod chart;
mod error;
mod image_config;
mod layer;
mod package;
mod probes;
mod rootfs;
mod secrets;
mod user;
mod values;
mod yaml;

pub use chart::{Chart, ChartInput, generate};
pub use error::ManifestorError;
pub use image_config::{Healthcheck, ImageConfig, read_image_config};
pub use package::{CONFIG_MEDIA_TYPE, LAYER_MEDIA_TYPE, MANIFEST_MEDIA_TYPE, Package, config_of, package};
pub use secrets::{SecretFinding, secret_findings};
pub use user::{RunAs, resolve_user};
