//! What looks like a secret is kept out of ConfigMaps, and so out of the journal and of artifacts, which are for ever.

use std::{borrow::Borrow, collections::BTreeMap};

use kube::{Resource, ResourceExt};

use super::outcome::Halt;
use crate::{
    api::{annotation, reason},
    manifestor::secret_findings,
};

/// Halts where configuration looks like a secret, unless the object insists that it is none. Each `config` comes with
/// its place in the object.
pub fn refuse<K, P, C>(object: &K, configs: impl IntoIterator<Item = (P, C)>) -> Result<(), Halt>
where
    K: Resource<DynamicType = ()>,
    P: AsRef<str>,
    C: Borrow<BTreeMap<String, String>>,
{
    if object.annotations().get(annotation::SECRETS_IN_CONFIG).is_some_and(|value| value == "allow") {
        return Ok(());
    }
    let mut found = Vec::new();
    for (place, config) in configs {
        let findings = secret_findings(config.borrow());
        found.extend(findings.iter().map(|finding| format!("{}.{}: {}", place.as_ref(), finding.key, finding.why)));
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(Halt::stalled(
        reason::SECRET_IN_CONFIG,
        format!(
            "{}. Put it into a Secret and name that in spec.workload.secretRefs of the ImageUpload; if it is none, annotate the {} with {}=allow",
            found.join("; "),
            K::kind(&()),
            annotation::SECRETS_IN_CONFIG
        ),
    ))
}
