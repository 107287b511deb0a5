//! A plane with a release in one environment, and accounts that may or may not read it.

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use orbit_plane::api::{EnvironmentOverlay, HelmChart};
use serde_json::json;

use crate::plane::{Controller, Plane, Stores, image::Image, registry::Registry};

pub struct Scene {
    pub plane: Plane,
    pub image: Image,
    /// A token of somebody who may read in the plane's namespace.
    pub reader: String,
    /// A token of somebody who may not.
    pub stranger: String,
    _controller: Controller,
    _source: Registry,
}

impl Scene {
    /// Version 1.0.0 of `web` in `dev`.
    pub async fn of(client: Client, namespace: &str, stores: Stores, arguments: &[&str]) -> Self {
        let plane = Plane::new(client.clone(), namespace, stores, arguments).await;
        let controller = plane.start().await;
        let source = Registry::start().await;
        let image = Image::of("1.0.0");
        let reference = source.push(&image, "shop/web", "1.0.0").await;
        plane.upload("web", "1.0.0", &reference, json!({"environments": ["dev"]})).await;
        plane.until_ready::<HelmChart>("web.1.0.0").await;
        plane.until_ready::<EnvironmentOverlay>("web.dev").await;
        let reader = account(&client, namespace, "reader", true).await;
        let stranger = account(&client, namespace, "stranger", false).await;
        Self { plane, image, reader, stranger, _controller: controller, _source: source }
    }

    /// A repository of this plane's namespace at this plane.
    pub fn repository(&self, rest: &str) -> String {
        format!("{}/{}/{rest}", self.plane.registry(), self.plane.namespace)
    }
}

/// A token of a new account, which may read what the registry holds of the namespace or may do nothing at all.
pub async fn account(client: &Client, namespace: &str, name: &str, reads: bool) -> String {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let account: ServiceAccount = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    accounts.create(&PostParams::default(), &account).await.unwrap();
    if reads {
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name},
            "rules": [{
                "apiGroups": ["orbit.k8or.io"],
                "resources": ["imageuploads/content", "helmcharts/content", "environmentoverlays/content"],
                "verbs": ["get"],
            }],
        });
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        });
        let apply = PatchParams::apply("test").force();
        Api::<Role>::namespaced(client.clone(), namespace).patch(name, &apply, &Patch::Apply(role)).await.unwrap();
        let bindings = Api::<RoleBinding>::namespaced(client.clone(), namespace);
        bindings.patch(name, &apply, &Patch::Apply(binding)).await.unwrap();
    }
    let spec = TokenRequestSpec { expiration_seconds: Some(3600), ..Default::default() };
    let request = TokenRequest { spec: Some(spec), ..Default::default() };
    let issued = accounts.create_token_request(name, &PostParams::default(), &request).await.unwrap();
    issued.status.unwrap().token.unwrap()
}
