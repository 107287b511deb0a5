//! Holds an object back until its end is in the journal.

use std::fmt::Debug;

use kube::{
    Resource,
    api::{ObjectMeta, Patch, PatchParams},
    core::NamespaceResourceScope,
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::context::Context;
use crate::{api::FINALIZER, failpoint};

/// Whether the plane's finalizer is on.
pub fn is_held(meta: &ObjectMeta) -> bool {
    meta.finalizers.iter().flatten().any(|name| name == FINALIZER)
}

/// Puts the finalizer on, unless the object changed meanwhile (then the change brings it back).
pub async fn hold<K>(meta: &ObjectMeta, context: &Context) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
{
    let mut finalizers = meta.finalizers.clone().unwrap_or_default();
    finalizers.push(FINALIZER.to_owned());
    set::<K>(meta, finalizers, context).await
}

/// Takes the finalizer off.
pub async fn release<K>(meta: &ObjectMeta, context: &Context) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
{
    let others = meta.finalizers.iter().flatten().filter(|name| *name != FINALIZER).cloned().collect();
    match set::<K>(meta, others, context).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        result => result,
    }
}

async fn set<K>(meta: &ObjectMeta, finalizers: Vec<String>, context: &Context) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug,
{
    let patch = json!({"metadata": {
        "uid": meta.uid,
        "resourceVersion": meta.resource_version,
        "finalizers": finalizers,
    }});
    // By metadata alone: it must also work for what is no valid object of its kind.
    let api = context.api::<K>(meta.namespace.as_deref().unwrap_or_default());
    api.patch_metadata(meta.name.as_deref().unwrap_or_default(), &PatchParams::default(), &Patch::Merge(&patch))
        .await?;
    failpoint::after_write("finalizers");
    Ok(())
}
