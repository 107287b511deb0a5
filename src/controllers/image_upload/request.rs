//! What an ImageUpload asks for, checked; and what of it is there already.

use std::collections::BTreeMap;

use kube::ResourceExt;

use crate::{
    api::{ImageSource, ImageUpload, ImageUploadSpec, ImageUploadStatus, reason},
    controllers::{outcome::Halt, secrets},
    release::{ApplicationKey, Description, ReleaseRecord},
};

/// The name of the one image of a release.
pub const MAIN: &str = "main";

/// What an ImageUpload asks for.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The application.
    pub key: ApplicationKey,
    /// The spec.
    pub spec: &'a ImageUploadSpec,
    /// Where the image comes from.
    pub source: &'a ImageSource,
}

/// What of a request is there.
#[derive(Debug)]
pub enum Standing {
    /// All of it.
    Stored(Box<ReleaseRecord>),
    /// It is not, or only its content can tell.
    Missing,
}

impl<'a> Request<'a> {
    /// The request of this object, unless it says something that cannot be.
    pub fn of(object: &'a ImageUpload) -> Result<Self, Halt> {
        let spec = &object.spec;
        // A cluster whose CRD is older or looser may let through what ours does not.
        let invalid = |message: String| Halt::stalled(reason::INVALID_SPEC, message);
        semver::Version::parse(&spec.version)
            .map_err(|error| invalid(format!("spec.version {:?} is no semantic version: {error}", spec.version)))?;
        let [image] = spec.images.as_slice() else {
            return Err(invalid("spec.images needs exactly one image, named main".into()));
        };
        if image.source.reference.is_some() == image.source.archive.is_some() {
            return Err(invalid("the image's source needs exactly one of reference and archive".into()));
        }
        // A release is for ever. This comes before anything is stored anywhere.
        secrets::refuse(object, [("spec.config", &spec.config)])?;
        Ok(Self {
            key: ApplicationKey::new(object.namespace().unwrap_or_default(), &spec.application),
            spec,
            source: &image.source,
        })
    }

    /// The release's version.
    pub fn version(&self) -> &'a str {
        &self.spec.version
    }

    /// Where each image comes from.
    pub fn sources(&self) -> BTreeMap<String, ImageSource> {
        BTreeMap::from([(MAIN.to_owned(), self.source.clone())])
    }

    /// What the user says of the release.
    pub fn description(&self) -> Description {
        let mut environments = self.spec.environments.clone();
        environments.sort();
        environments.dedup();
        Description {
            environments,
            owner: self.spec.owner.clone(),
            metadata: self.spec.metadata.clone(),
            origin: self.spec.origin.clone(),
        }
    }

    /// What of the request is there, given the release that is stored under its version and what was reported of it.
    pub fn standing(
        &self,
        record: Option<ReleaseRecord>,
        status: Option<&ImageUploadStatus>,
    ) -> Result<Standing, Halt> {
        let Some(record) = record else { return Ok(Standing::Missing) };
        let release = &record.release;
        if record.purged_at.is_some() {
            return Err(Halt::stalled(
                reason::VERSION_PURGED,
                format!(
                    "the data of version {} was given up, and the version cannot be used again: use another one",
                    release.version
                ),
            ));
        }
        let differs =
            [("config", release.config != self.spec.config), ("workload", release.workload != self.spec.workload)];
        let differs: Vec<_> = differs.iter().filter(|(_, differs)| *differs).map(|(what, _)| *what).collect();
        if !differs.is_empty() {
            return Err(Halt::stalled(
                reason::VERSION_CONFLICT,
                format!(
                    "version {} is stored with other {}, and what is stored never changes: give spec.version a new value",
                    release.version,
                    differs.join(" and other ")
                ),
            ));
        }
        let reported = status.and_then(|status| status.release.as_ref());
        let settled = reported.is_some_and(|r| r.version == release.version && r.digest == release.digest);
        if settled || release.sources.get(MAIN) == Some(self.source) {
            return Ok(Standing::Stored(Box::new(record)));
        }
        // The same image may come by another way: its content tells.
        Ok(Standing::Missing)
    }
}
