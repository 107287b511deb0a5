//! Taking images into the Harbor: from archives ([`from_archive`]) and from registries ([`from_reference`]).
//!
//! Both ways meet in one intake, which works in two steps. The *plan* reads manifests and configs, refuses what is no
//! sound image, and writes nothing. Carrying it out streams each layer into the Harbor and checks it on the way: its
//! digest, and the diffID that the config gives for its uncompressed bytes. A layer is refused before it has a name, and
//! manifests are stored after everything that they refer to.
//!
//! Nothing is unpacked: an archive is indexed once (path → offset and size) and then read by ranges. Memory is bounded
//! by [`Limits`] whatever the input says of itself.
//!
//! A layer that the Harbor already holds is not fetched again. Its digest says nothing of *this* image's diffID for it,
//! so a compressed one is read back from the Harbor and checked all the same. That also makes every intake resumable by
//! repeating it.

mod archive;
mod document;
mod error;
mod inflate;
mod intake;
mod layer;
mod limits;
mod registry;
#[cfg(test)]
mod testing;

pub use archive::{ArchiveBytes, StagedArchive, from_archive};
pub use error::IngestError;
pub use limits::Limits;
pub use registry::{AllowedRegistry, PullSecretError, RegistryAuth, from_reference, registry_auth};
