//! What is different between two versions of an application, two environments, or one of each: values, objects, and
//! image configuration. On the command line it is `orbit diff`, in the portal a page.

mod compare;
mod image;
mod manifests;
mod side;
mod sources;
pub mod stored;

pub use compare::{Compared, Difference, Section};
pub use image::{Image, ImageChange, Inside, Layer, Layers, Setting};
pub use manifests::{Change, ChangeKind, Documents, Object, objects};
pub use side::{Content, Side};
pub use sources::Sources;
