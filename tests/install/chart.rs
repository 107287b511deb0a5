//! The chart renders what the API server takes, with every way to store data.

use std::collections::BTreeMap;

use kube::ResourceExt;
use orbit_plane::controllers::install;
use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::{
    cluster::with_labelled_namespace,
    helm::{lint, of_kind, template},
    objects::apply,
};

/// S3, DynamoDB and MySQL by values, credentials from Secrets.
const EXTERNAL: [&str; 7] = [
    "stores.s3.bucket=orbit",
    "stores.s3.endpoint=https://s3.example",
    "stores.dynamodb.table=orbit",
    "stores.mysql.urlSecret.name=orbit-mysql",
    "stores.aws.region=eu-central-1",
    "stores.aws.credentialsSecret=orbit-aws",
    "rendering.registryHost=registry.example",
];

/// A portal with an identity provider.
const PORTAL: [&str; 10] = [
    "portal.enabled=true",
    "portal.url=https://portal.example",
    "portal.tls.secretName=portal-tls",
    "portal.oidc.issuer=https://id.example",
    "portal.oidc.clientId=orbit",
    "portal.oidc.clientSecret.name=oidc",
    "portal.oidc.ca.configMap=id-ca",
    "portal.oidc.name=The shop",
    "portal.oidc.usernamePrefix=id:",
    "portal.oidc.impersonate.groups={dev,ops}",
];

/// Everything that can be switched the other way.
const OTHERWISE: [&str; 14] = [
    "namespace=default",
    "publicUrl=https://registry.example",
    "tls.secretName=orbit-tls",
    "service.type=LoadBalancer",
    "stores.s3.redirect=true",
    "persistence.enabled=false",
    "crds.keep=false",
    "metrics.service=false",
    "rbac.aggregate=false",
    "rbac.roles=false",
    "rbac.pullSecrets.scope=Namespaces",
    "rbac.pullSecrets.namespaces={default,kube-public}",
    "rbac.pullSecrets.names={regcred}",
    "pullFrom={docker.io,*.registry.example}",
];

#[test]
fn helm_is_content() {
    for set in [&[][..], &EXTERNAL, &PORTAL, &OTHERWISE] {
        lint(set).unwrap_or_else(|e| panic!("{set:?}: {e}"));
    }
}

#[test]
fn values_that_cannot_be_are_refused() {
    for (set, said) in [
        ("stores.s3.buckets=orbit", "additional properties 'buckets' not allowed"),
        ("publicUrl=orbit.example", "/publicUrl"),
        ("image.digest=latest", "/image/digest"),
        ("pullFrom={https://registry.example}", "/pullFrom/0"),
        ("portal.url=https://portal.example/orbit", "/portal/url"),
        ("portal.oidc.issuer=http://id.example", "/portal/oidc/issuer"),
        ("rbac.pullSecrets.scope=Namespaces", "/rbac/pullSecrets/namespaces"),
    ] {
        let refusal = template("orbit", "orbit", &[set]).expect_err(set);
        assert!(refusal.contains(said), "{set}: {refusal}");
    }
}

/// In a namespace that enforces Pod Security "restricted": a pod that it does not admit is warned of, not refused, for a
/// Deployment; so the pod is asked for by itself.
#[tokio::test]
async fn the_api_server_takes_what_it_renders() {
    with_labelled_namespace(
        json!({"pod-security.kubernetes.io/enforce": "restricted"}),
        |client, namespace| async move {
            for set in [&[][..], &EXTERNAL, &PORTAL, &OTHERWISE] {
                let objects = template("orbit", &namespace, set).unwrap();
                let [account] = of_kind(&objects, "ServiceAccount")[..] else { panic!("one ServiceAccount") };
                apply(&client, account, false).await.unwrap();
                for object in &objects {
                    apply(&client, object, true).await.unwrap();
                }
                let [deployment] = of_kind(&objects, "Deployment")[..] else { panic!("one Deployment") };
                let mut pod =
                    json!({"apiVersion": "v1", "kind": "Pod", "spec": deployment["spec"]["template"]["spec"]});
                pod["metadata"] = json!({"name": "orbit", "namespace": namespace});
                apply(&client, &pod, true).await.unwrap();
            }
        },
    )
    .await;
}

#[test]
fn its_crds_are_the_programs_own() {
    let own = BTreeMap::from(install::crds().map(|crd| (crd.name_any(), serde_json::to_value(crd).unwrap())));
    for keep in [true, false] {
        let objects = template("orbit", "orbit", &[&format!("crds.keep={keep}")]).unwrap();
        let rendered = of_kind(&objects, "CustomResourceDefinition").into_iter().cloned().map(|mut crd| {
            let metadata = crd["metadata"].as_object_mut().unwrap();
            let annotations = metadata.remove("annotations");
            assert_eq!(annotations, keep.then(|| json!({"helm.sh/resource-policy": "keep"})));
            (metadata["name"].as_str().unwrap().to_owned(), crd)
        });
        assert_eq!(rendered.collect::<BTreeMap<String, Value>>(), own);
    }
}

#[test]
fn nothing_is_served_outside_the_pod_without_a_certificate() {
    let arguments = |objects: &[Value]| {
        let container = &of_kind(objects, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0];
        container["args"].to_string()
    };
    let objects = template("orbit", "orbit", &[]).unwrap();
    assert!(arguments(&objects).contains("--listen=127.0.0.1:8480"));
    assert_eq!(of_kind(&objects, "Service").len(), 1, "metrics only");
    let refusal = template("orbit", "orbit", &["tls.secretName=orbit-tls"]).unwrap_err();
    assert!(refusal.contains("publicUrl has to begin with https://"), "{refusal}");
    let objects = template("orbit", "orbit", &OTHERWISE).unwrap();
    let arguments = arguments(&objects);
    assert!(
        arguments.contains("--listen=0.0.0.0:8480") && arguments.contains("--tls-secret=orbit/orbit-tls"),
        "{arguments}"
    );
    // OTHERWISE has no Service for metrics.
    let [service] = of_kind(&objects, "Service")[..] else { panic!("one Service") };
    assert_eq!(service["spec"]["ports"], json!([{"name": "registry", "port": 443, "targetPort": "registry"}]));
}

/// The rules that let the plane act as somebody else.
fn impersonation(objects: &[Value]) -> Vec<Value> {
    let rules =
        objects.iter().filter(|object| object["rules"].is_array()).flat_map(|object| object["rules"].as_array());
    rules.flatten().filter(|rule| rule["verbs"].to_string().contains("impersonate")).cloned().collect()
}

#[test]
fn nobody_is_impersonated_without_an_identity_provider() {
    for set in [&[][..], &EXTERNAL, &OTHERWISE, &PORTAL[..3]] {
        assert_eq!(impersonation(&template("orbit", "orbit", set).unwrap()), [] as [Value; 0], "{set:?}");
    }
    let objects = template("orbit", "orbit", &PORTAL).unwrap();
    assert_eq!(
        impersonation(&objects),
        [
            json!({"apiGroups": [""], "resources": ["groups"], "resourceNames": ["dev", "ops"], "verbs": ["impersonate"]}),
            json!({"apiGroups": [""], "resources": ["users"], "verbs": ["impersonate"]}),
        ]
    );
}

#[test]
fn the_portal_is_served_outside_the_pod_only_with_a_certificate() {
    let arguments = |set: &[&str]| {
        let objects = template("orbit", "orbit", set).unwrap();
        let container = of_kind(&objects, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0].clone();
        (container["args"].to_string(), of_kind(&objects, "Service").len())
    };
    let (none, services) = arguments(&[]);
    assert!(!none.contains("--portal") && services == 1, "{none}");
    let (inside, services) = arguments(&PORTAL[..1]);
    assert!(inside.contains("--portal-address=127.0.0.1:8482") && services == 1, "{inside}");
    let (outside, services) = arguments(&PORTAL);
    assert!(outside.contains("--portal-address=0.0.0.0:8482") && services == 2, "{outside}");
    assert!(outside.contains("--portal-tls-secret=orbit/portal-tls") && outside.contains("--oidc-name=The shop"));
    let refusal = template("orbit", "orbit", &["portal.enabled=true", PORTAL[2]]).unwrap_err();
    assert!(refusal.contains("portal.url has to begin with https://"), "{refusal}");
}

#[test]
fn data_stays_when_the_release_goes() {
    let objects = template("orbit", "orbit", &[]).unwrap();
    let [claim] = of_kind(&objects, "PersistentVolumeClaim")[..] else { panic!("one volume") };
    assert_eq!(claim["metadata"]["annotations"]["helm.sh/resource-policy"], "keep");
}

#[test]
fn credentials_come_from_secrets_and_there_is_no_volume_without_need() {
    let objects = template("orbit", "orbit", &EXTERNAL).unwrap();
    assert!(of_kind(&objects, "PersistentVolumeClaim").is_empty());
    let container = &of_kind(&objects, "Deployment")[0]["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["envFrom"], json!([{"secretRef": {"name": "orbit-aws"}}]));
    let variables = container["env"].as_array().unwrap();
    let url = variables.iter().find(|variable| variable["name"] == "ORBIT_MYSQL_URL").unwrap();
    assert_eq!(url["valueFrom"]["secretKeyRef"], json!({"name": "orbit-mysql", "key": "url"}));
    // All three at once; one embedded store alone needs the volume.
    assert_eq!(of_kind(&template("orbit", "orbit", &EXTERNAL[1..]).unwrap(), "PersistentVolumeClaim").len(), 1);
}
