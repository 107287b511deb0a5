//! What a cluster does not take: said with object and cause, harmful to nobody else, and brought as soon as it is taken.

use std::{fmt::Debug, time::Duration};

use k8s_openapi::{
    api::{
        admissionregistration::v1::{
            ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, ValidatingWebhookConfiguration,
        },
        apps::v1::Deployment,
        core::v1::{ConfigMap, Namespace, ResourceQuota},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    runtime::wait::{Condition, await_condition},
};
use orbit_plane::api::{Delivery, EnvironmentOverlay, condition_type, label, reason};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    cluster::with_namespace,
    fleet::{Fleet, config_map, labelled},
    plane::condition,
    webhook::Refusing,
};

/// A fleet whose cluster already has a delivery, `calm`.
async fn calm_fleet(client: Client, namespace: &str) -> Fleet {
    let fleet = Fleet::of(client, namespace).await;
    fleet.overlay("calm", &[&config_map("calm", "before")], json!({})).await;
    fleet.until_delivered("calm").await;
    fleet
}

/// The delivery of `web` is halted for this reason, in words that have all of these in them; meanwhile another arrives.
async fn must_halt(fleet: &Fleet, reason: &str, words: &[&str]) {
    let is_halted = |delivery: &Delivery| {
        condition(delivery, condition_type::READY)
            .is_some_and(|ready| ready.reason == reason && words.iter().all(|part| ready.message.contains(part)))
    };
    let what = format!("halted by {reason} with {words:?}");
    let halted = fleet.plane.until(&fleet.delivery("web", "here"), &what, is_halted).await;
    // What is tried again by itself stalls nobody.
    if condition(&halted, condition_type::STALLED).is_some() {
        let message = fleet.plane.until_stalled::<EnvironmentOverlay>("web.dev", reason).await;
        assert!(message.contains(&format!("0 of 1 clusters: {}/here: {reason}", fleet.plane.namespace)), "{message}");
    }
    fleet.overlay("calm", &[&config_map("calm", reason)], json!({})).await;
    fleet.until_delivered("calm").await;
    assert_eq!(fleet.value("calm").await.as_deref(), Some(reason));
}

/// Takes away what was lent.
async fn take_back<K>(fleet: &Fleet, object: &K)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let api: Api<K> = Api::all(fleet.plane.client.clone());
    api.delete(&object.name_any(), &DeleteParams::default()).await.unwrap();
}

async fn until<K>(fleet: &Fleet, api: Api<K>, name: &str, is_so: impl Condition<K>)
where
    K: Clone + Debug + Send + DeserializeOwned + Resource<DynamicType = ()> + 'static,
{
    let seen = tokio::time::timeout(fleet.plane.patience, await_condition(api, name, is_so)).await;
    seen.unwrap_or_else(|_| panic!("{} {name} never became as awaited", K::kind(&()))).unwrap();
}

/// Waits until the API server refuses this ConfigMap: it hears of policies a while after they are made.
async fn until_refused(fleet: &Fleet, name: &str) {
    let object: ConfigMap = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
    let only_asked = PostParams { dry_run: true, ..PostParams::default() };
    let refused = async {
        while fleet.config_maps().create(&only_asked, &object).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(fleet.plane.patience, refused).await.expect("the policy is heard of");
}

/// Which requests a policy or webhook of a test is asked about.
fn config_maps_of(namespace: &str) -> (Value, Value) {
    let selector = json!({"matchLabels": {"kubernetes.io/metadata.name": namespace}});
    let rules = json!([{
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"],
    }]);
    (selector, rules)
}

#[tokio::test]
async fn a_policy_that_says_no_is_quoted_and_asked_again() {
    with_namespace(|client, namespace| async move {
        let fleet = calm_fleet(client, &namespace).await;
        let (selector, rules) = config_maps_of(&namespace);
        let constraints = json!({"namespaceSelector": selector, "resourceRules": rules});
        let says_no =
            json!({"expression": "object.metadata.name != 'web'", "message": "a ConfigMap must have a better name"});
        let policy: ValidatingAdmissionPolicy = fleet
            .lend(json!({
                "metadata": {"name": namespace},
                "spec": {"failurePolicy": "Fail", "matchConstraints": constraints, "validations": [says_no]},
            }))
            .await;
        let binding = json!({"policyName": namespace, "validationActions": ["Deny"]});
        let binding: ValidatingAdmissionPolicyBinding =
            fleet.lend(json!({"metadata": {"name": namespace}, "spec": binding})).await;
        until_refused(&fleet, "web").await;
        fleet.overlay("web", &[&config_map("web", "1")], json!({})).await;
        let place = format!("ConfigMap web in namespace {namespace}: ");
        must_halt(&fleet, "AdmissionDenied", &[&place, &namespace, "a ConfigMap must have a better name"]).await;
        assert_eq!(fleet.value("web").await, None);
        take_back(&fleet, &binding).await;
        take_back(&fleet, &policy).await;
        fleet.until_delivered("web").await;
        assert_eq!(fleet.value("web").await.as_deref(), Some("1"));
    })
    .await;
}

/// A webhook of this name for the ConfigMap `web` in the fleet's namespace.
async fn lend_webhook(fleet: &Fleet, name: &str, client_config: Value) -> ValidatingWebhookConfiguration {
    let (selector, rules) = config_maps_of(&fleet.plane.namespace);
    let lent = json!({
        "metadata": {"name": fleet.plane.namespace},
        "webhooks": [{
            "name": name, "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": client_config, "timeoutSeconds": 2, "failurePolicy": "Fail",
            "namespaceSelector": selector, "rules": rules,
            "matchConditions": [{"name": "web", "expression": "object.metadata.name == 'web'"}],
        }],
    });
    let lent = fleet.lend(lent).await;
    until_refused(fleet, "web").await;
    lent
}

#[tokio::test]
async fn a_webhook_that_says_no_is_quoted_and_asked_again() {
    with_namespace(|client, namespace| async move {
        let fleet = calm_fleet(client, &namespace).await;
        let webhook = Refusing::with("images must be signed by the platform team").await;
        let lent = lend_webhook(&fleet, "signed.example.com", webhook.client_config.clone()).await;
        fleet.overlay("web", &[&config_map("web", "1")], json!({})).await;
        let place = format!("ConfigMap web in namespace {namespace}: ");
        let words = [&place, "signed.example.com", "denied", "images must be signed by the platform team"];
        must_halt(&fleet, "AdmissionDenied", &words).await;
        assert_eq!(fleet.value("web").await, None);
        take_back(&fleet, &lent).await;
        fleet.until_delivered("web").await;
        assert_eq!(fleet.value("web").await.as_deref(), Some("1"));
    })
    .await;
}

#[tokio::test]
async fn a_webhook_that_does_not_answer_is_named_and_waited_for() {
    with_namespace(|client, namespace| async move {
        let fleet = calm_fleet(client, &namespace).await;
        // Nothing listens there.
        let lent = lend_webhook(&fleet, "silent.example.com", json!({"url": "https://127.0.0.1:1/"})).await;
        fleet.overlay("web", &[&config_map("web", "1")], json!({})).await;
        let place = format!("ConfigMap web in namespace {namespace}: ");
        must_halt(&fleet, "WebhookUnavailable", &[&place, "silent.example.com", "connection refused"]).await;
        take_back(&fleet, &lent).await;
        fleet.until_delivered("web").await;
        assert_eq!(fleet.value("web").await.as_deref(), Some("1"));
    })
    .await;
}

#[tokio::test]
async fn a_quota_that_is_used_up_is_told_with_its_figures_until_it_is_raised() {
    with_namespace(|client, namespace| async move {
        let fleet = calm_fleet(client.clone(), &namespace).await;
        // Kubernetes puts one of its own into every namespace; it counts.
        until(&fleet, fleet.config_maps(), "kube-root-ca.crt", |it: Option<&ConfigMap>| it.is_some()).await;
        let quotas: Api<ResourceQuota> = Api::namespaced(client, &namespace);
        let hard = |count: &str| json!({"spec": {"hard": {"count/configmaps": count}}});
        let mut quota = hard("3");
        quota["metadata"] = json!({"name": "small"});
        quotas.create(&PostParams::default(), &serde_json::from_value(quota).unwrap()).await.unwrap();
        let is_counted = |it: Option<&ResourceQuota>| {
            it.and_then(|it| it.status.as_ref()?.used.as_ref()?.get("count/configmaps")).is_some_and(|it| it.0 == "2")
        };
        until(&fleet, quotas.clone(), "small", is_counted).await;
        fleet.overlay("web", &[&config_map("one", "1"), &config_map("two", "2")], json!({})).await;
        let words =
            ["ConfigMap ", &namespace, "small", "used: count/configmaps=3, limited: count/configmaps=3", "raise"];
        must_halt(&fleet, "QuotaExceeded", &words).await;
        quotas.patch("small", &PatchParams::default(), &Patch::Merge(hard("4"))).await.unwrap();
        fleet.until_delivered("web").await;
        assert_eq!((fleet.value("one").await.as_deref(), fleet.value("two").await.as_deref()), (Some("1"), Some("2")));
    })
    .await;
}

#[tokio::test]
async fn a_refusal_that_nobody_lifts_in_time_is_a_failure_and_what_was_there_stays() {
    with_namespace(|client, namespace| async move {
        let fleet = calm_fleet(client.clone(), &namespace).await;
        let policy = json!({"delivery": {"onFailure": "Rollback", "timeout": "6s"}});
        fleet.overlay("web", &[&config_map("one", "1")], policy.clone()).await;
        fleet.until_delivered("web").await;
        let quotas: Api<ResourceQuota> = Api::namespaced(client, &namespace);
        let quota = json!({"metadata": {"name": "full"}, "spec": {"hard": {"count/configmaps": "1"}}});
        quotas.create(&PostParams::default(), &serde_json::from_value(quota).unwrap()).await.unwrap();
        let is_counted =
            |it: Option<&ResourceQuota>| it.is_some_and(|it| it.status.as_ref().is_some_and(|it| it.used.is_some()));
        until(&fleet, quotas, "full", is_counted).await;
        fleet.overlay("web", &[&config_map("one", "2"), &config_map("two", "2")], policy).await;
        let is_back = |delivery: &Delivery| {
            condition(delivery, condition_type::READY).is_some_and(|ready| ready.reason == reason::ROLLED_BACK)
        };
        fleet.plane.until(&fleet.delivery("web", "here"), "rolled back", is_back).await;
        assert_eq!(fleet.value("one").await.as_deref(), Some("1"));
        let told = ["requested", "applied", "healthy", "requested", "failed", "rolledBack", "requested", "applied"];
        let told = told.map(|state| format!("{state} dev here -"));
        assert_eq!(fleet.told("web").await[..told.len()], told);
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_changed_is_named_and_made_anew_where_that_is_asked_for() {
    with_namespace(|client, namespace| async move {
        let fleet = calm_fleet(client.clone(), &namespace).await;
        let frozen = |value: &str| format!("{}immutable: true\n", config_map("frozen", value));
        fleet.overlay("web", &[&frozen("1")], json!({})).await;
        fleet.until_delivered("web").await;
        let before = fleet.config_maps().get("frozen").await.unwrap().uid();
        fleet.overlay("web", &[&frozen("2")], json!({})).await;
        let place = format!("ConfigMap frozen in namespace {namespace}: data cannot be changed");
        must_halt(&fleet, "ImmutableField", &[&place, "spec.delivery.force"]).await;
        assert_eq!(fleet.value("frozen").await.as_deref(), Some("1"));
        fleet.overlay("web", &[&frozen("2")], json!({"delivery": {"force": true}})).await;
        fleet.until_delivered("web").await;
        assert_eq!(fleet.value("frozen").await.as_deref(), Some("2"));
        assert_ne!(fleet.config_maps().get("frozen").await.unwrap().uid(), before);
        let told = ["requested", "applied", "healthy", "requested", "failed", "applied", "healthy"];
        assert_eq!(fleet.told("web").await, told.map(|state| format!("{state} dev here -")));

        // A workload, with what Kubernetes makes of it.
        let workload = |label: &str| {
            format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: 0\n  \
                 selector: {{matchLabels: {{app: {label}}}}}\n  template:\n    metadata: {{labels: {{app: {label}}}}}\n    \
                 spec: {{containers: [{{name: main, image: web}}]}}\n"
            )
        };
        let web = json!({"delivery": {"force": false}});
        fleet.overlay("web", &[&workload("one")], web.clone()).await;
        fleet.until_delivered("web").await;
        fleet.overlay("web", &[&workload("two")], web).await;
        let place = format!("Deployment.apps web in namespace {namespace}: spec.selector cannot be changed");
        must_halt(&fleet, "ImmutableField", &[&place]).await;
        fleet.overlay("web", &[&workload("two")], json!({"delivery": {"force": true}})).await;
        fleet.until_delivered("web").await;
        let there = Api::<Deployment>::namespaced(client, &namespace).get("web").await.unwrap();
        assert_eq!(there.spec.unwrap().selector.match_labels.unwrap()["app"], "two");
    })
    .await;
}

/// The Deployment is taken, and its pods are not.
#[tokio::test]
async fn pods_that_a_quota_keeps_away_are_told_of() {
    with_namespace(|client, namespace| async move {
        let fleet = calm_fleet(client.clone(), &namespace).await;
        let target = format!("{namespace}-full");
        fleet.lend::<Namespace>(json!({"metadata": {"name": target}})).await;
        let quotas: Api<ResourceQuota> = Api::namespaced(client, &target);
        let quota = json!({"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}});
        quotas.create(&PostParams::default(), &serde_json::from_value(quota).unwrap()).await.unwrap();
        let workload = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  \
                        selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    \
                        spec: {containers: [{name: main, image: registry.example/web}]}\n";
        fleet.overlay("web", &[workload], json!({"targetNamespace": target})).await;
        let is_told = |it: &Delivery| {
            condition(it, condition_type::HEALTHY).is_some_and(|healthy| {
                ["Deployment.apps web", "exceeded quota: none"].iter().all(|words| healthy.message.contains(words))
            })
        };
        fleet.plane.until(&fleet.delivery("web", "here"), "told of its quota", is_told).await;
    })
    .await;
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_is_waited_for_and_made_anew() {
    with_namespace(|client, namespace| async move {
        let fleet = calm_fleet(client.clone(), &namespace).await;
        let target = format!("{namespace}-ending");
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let before: Namespace = fleet.lend(json!({"metadata": {"name": target}})).await;
        let held = json!({"metadata": {"name": "held", "finalizers": ["example.com/held"]}});
        let within: Api<ConfigMap> = Api::namespaced(client, &target);
        within.create(&PostParams::default(), &serde_json::from_value(held).unwrap()).await.unwrap();
        namespaces.delete(&target, &DeleteParams::default()).await.unwrap();
        fleet.overlay("web", &[&config_map("web", "1")], json!({"targetNamespace": target})).await;
        must_halt(&fleet, "NamespaceTerminating", &[&format!("the namespace {target} is being deleted")]).await;
        let free = json!({"metadata": {"finalizers": null}});
        within.patch("held", &PatchParams::default(), &Patch::Merge(free)).await.unwrap();
        fleet.until_delivered("web").await;
        assert_eq!(within.get("web").await.unwrap().data.unwrap()["a"], "1");
        let anew = namespaces.get(&target).await.unwrap();
        assert_ne!(anew.uid(), before.uid());
        assert!(labelled(&anew, label::MANAGED_BY));
        namespaces.delete(&target, &DeleteParams::default()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_kind_that_the_cluster_does_not_have_is_named_with_the_versions_it_has() {
    with_namespace(|client, namespace| async move {
        let fleet = calm_fleet(client, &namespace).await;
        let old = "apiVersion: apps/v1beta1\nkind: Deployment\nmetadata: {name: old}\nspec: {replicas: 0}\n";
        fleet.overlay("web", &[&config_map("beside", "1"), old], json!({})).await;
        let words = ["Deployment.apps old", "as apps/v1beta1; it has apps/v1: change apiVersion"];
        must_halt(&fleet, "KindUnknown", &words).await;
        assert_eq!(fleet.value("beside").await, None, "nothing is begun that cannot be brought to its end");

        let group = format!("{namespace}.example.com");
        let widget = format!("apiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: one}}\n");
        fleet.overlay("web", &[&config_map("beside", "1"), &widget], json!({})).await;
        let unknown = format!(
            "Widget.{group} one in namespace {namespace}: the cluster does not know the kind Widget ({group}/v1)"
        );
        must_halt(&fleet, "KindUnknown", &[&unknown, "install its CustomResourceDefinition"]).await;
        // All that it does not know are named at once.
        fleet.overlay("web", &[&config_map("beside", "1"), &widget, old], json!({})).await;
        let words =
            format!("does not know 2 of the kinds: Deployment (apps/v1beta1; it has apps/v1), Widget ({group}/v1)");
        must_halt(&fleet, "KindUnknown", &[&words]).await;
        fleet.overlay("web", &[&config_map("beside", "1"), &widget], json!({})).await;
        let schema = json!({"openAPIV3Schema": {"type": "object"}});
        fleet
            .lend::<CustomResourceDefinition>(json!({
                "metadata": {"name": format!("widgets.{group}")},
                "spec": {
                    "group": group, "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
                    "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}],
                },
            }))
            .await;
        let delivery = fleet.until_delivered("web").await;
        assert_eq!(delivery.status.unwrap().inventory.unwrap().objects, 2);
        assert_eq!(fleet.value("beside").await.as_deref(), Some("1"));
    })
    .await;
}
