//! Viewport (C32): everything that happened, in tables that can be asked: where is this image now, what is in prod, the
//! whole history of an application, who uploaded what.
//!
//! It is a projection of the Chart Store's journals and holds nothing that is not in them. [`Projector`] compares the
//! journals' heads with a cursor per application and moves each on, events and cursor in one transaction; while the
//! database is down only questions wait. Everything can be forgotten and made anew, and is the same again.
//!
//! There is one implementation, on MySQL and on SQLite: the statements are the same, and `database` holds what little
//! is not.

mod answers;
mod audit_event;
mod change;
pub mod csv;
mod database;
mod days;
mod error;
mod migrate;
mod paging;
mod projection;
mod projector;
mod queries;
mod reports;
mod schema;
mod store;
mod verify;

pub use answers::{
    Application, ApplicationEnvironment, Deployment, Environment, Holder, Image, Lifecycle, LifecycleEvent, Page,
    Place, Release, Rendered, RenderedImage, Standing, Upload,
};
pub use audit_event::{AuditEvent, AuditRequest};
pub use days::{Days, NoDays, Period};
pub use error::ViewportError;
pub use paging::{MAX_LIMIT, PageRequest};
pub use projector::{Behind, Projector, ProjectorError, Status, behind};
pub use queries::{AuditFilter, Clusters, MatrixFilter, Shown};
pub use reports::{Figures, LeadTime, Report, ReportPeriod, ReportRequest};
pub use store::{Cursor, Step, Viewport, open};
pub use verify::verify;
