//! Which statuses this program wrote last, so that one who works on an object as it was before knows.
//!
//! A run that begins right after another one has the object from the watch, which may not have seen what the other wrote.
//! If it comes to what the object said before, nothing would seem to be changed, and what the other wrote would stay.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use kube::{Resource, ResourceExt};

/// Resource versions by the objects' UIDs.
#[derive(Debug, Default)]
pub struct Written(Mutex<HashMap<String, u64>>);

impl Written {
    /// A status was written: this is the object since then.
    pub fn wrote(&self, object: &impl Resource) {
        if let (Some(uid), Some(version)) = (object.uid(), version(object)) {
            self.lock().insert(uid, version);
        }
    }

    /// Whether this is the object from before its status was written last.
    pub fn is_older(&self, object: &impl Resource) -> bool {
        let written = self.lock().get(object.uid().as_deref().unwrap_or_default()).copied();
        written.zip(version(object)).is_some_and(|(written, version)| version < written)
    }

    /// The object is gone.
    pub fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resource versions of one resource can be compared as numbers (Kubernetes, KEP-5504).
fn version(object: &impl Resource) -> Option<u64> {
    object.resource_version()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use kube::core::ObjectMeta;

    use super::*;
    use crate::api::ImageUpload;

    fn object(uid: &str, version: &str) -> ImageUpload {
        let metadata =
            ObjectMeta { uid: Some(uid.into()), resource_version: Some(version.into()), ..ObjectMeta::default() };
        let spec = serde_json::from_value(serde_json::json!({"application": "web", "version": "1.0.0", "images": []}));
        ImageUpload { metadata, spec: spec.unwrap(), status: None }
    }

    #[test]
    fn what_the_watch_has_not_seen_yet_is_known() {
        let written = Written::default();
        assert!(!written.is_older(&object("a", "9")), "nothing was written");
        written.wrote(&object("a", "10"));
        assert!(written.is_older(&object("a", "9")));
        assert!(!written.is_older(&object("a", "10")) && !written.is_older(&object("a", "11")));
        assert!(!written.is_older(&object("b", "9")), "it is another one");
        written.forget("a");
        assert!(!written.is_older(&object("a", "9")));
    }
}
