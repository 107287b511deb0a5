use jiff::ToSpan;
use pretty_assertions::assert_eq;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;

fn now() -> Timestamp {
    "2026-11-24T15:00:00Z".parse().unwrap()
}

/// A certificate that ends with a year, and its key.
fn identity_until(year: i32) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["client".to_owned()]).unwrap();
    params.not_after = date_time_ymd(year, 12, 31);
    let certificate = params.self_signed(&key).unwrap();
    (STANDARD.encode(certificate.pem()), STANDARD.encode(key.serialize_pem()))
}

/// A kubeconfig that works, with a cluster and a user of nobody's concern around the ones that are meant.
fn good() -> Value {
    let (authority, _) = identity_until(2040);
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "preferences": {},
        "current-context": "eu-1",
        "contexts": [
            {"name": "other", "context": {"cluster": "other", "user": "other"}},
            {"name": "eu-1", "context": {"cluster": "eu-1", "user": "plane", "namespace": "shop"}},
        ],
        "clusters": [
            {"name": "other", "cluster": {"server": "http://169.254.169.254", "insecure-skip-tls-verify": true}},
            {"name": "eu-1", "cluster": {
                "server": "https://10.0.0.1:6443/k8s/eu-1", "certificate-authority-data": authority, "unknown": [1],
            }},
        ],
        "users": [
            {"name": "other", "user": {"exec": {"command": "/bin/sh", "args": ["-c", "touch /tmp/owned"]}}},
            {"name": "plane", "user": {"token": "hunter2.hunter2"}},
        ],
    })
}

fn with(pointer: &str, field: &str, value: Value) -> Value {
    let mut config = good();
    config.pointer_mut(pointer).unwrap()[field] = value;
    config
}

const CLUSTER: &str = "/clusters/1/cluster";
const USER: &str = "/users/1/user";

fn access(config: &Value) -> Result<kube::Config, KubeconfigError> {
    read(config.to_string().as_bytes(), now())
}

fn problem(config: &Value) -> String {
    let problem = access(config).expect_err("it was taken").to_string();
    assert!(!problem.contains("hunter2"), "{problem}");
    problem
}

#[test]
fn the_current_context_is_what_counts() {
    let config = access(&good()).unwrap();
    assert_eq!(config.cluster_url, "https://10.0.0.1:6443/k8s/eu-1");
    assert_eq!(config.default_namespace, "shop");
    assert_eq!(config.auth_info.token.unwrap().expose_secret(), "hunter2.hunter2");
    assert_eq!(config.root_cert.unwrap().len(), 1);
    assert!(!config.accept_invalid_certs);
    assert!(config.auth_info.exec.is_none() && config.proxy_url.is_none());
}

#[test]
fn yaml_as_people_write_it_is_read() {
    let text = "apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    server: https://eu-1.example\n  name: eu-1\n\
                contexts:\n- context: {cluster: eu-1, user: plane}\n  name: eu-1\ncurrent-context: eu-1\n\
                users:\n- name: plane\n  user:\n    token: abc\n";
    let config = read(text.as_bytes(), now()).unwrap();
    assert_eq!(config.cluster_url, "https://eu-1.example/");
    assert!(config.root_cert.is_none(), "a public authority needs none");
}

#[test]
fn what_reaches_outside_the_file_is_refused_by_name() {
    for (place, field, value, message) in [
        (USER, "exec", json!({"command": "aws"}), "users[1].user.exec would run a command; use the token"),
        (USER, "auth-provider", json!({"name": "gcp"}), "users[1].user.auth-provider would run"),
        (USER, "tokenFile", json!("/etc/shadow"), "users[1].user.tokenFile names a file; put the token itself"),
        (USER, "client-certificate", json!("/x"), "users[1].user.client-certificate names a file"),
        (USER, "client-key", json!("/x"), "users[1].user.client-key names a file"),
        (USER, "as", json!("system:admin"), "users[1].user.as would act as somebody else"),
        (USER, "as-groups", json!(["system:masters"]), "users[1].user.as-groups would act"),
        (USER, "as-uid", json!("1"), "users[1].user.as-uid would act"),
        (USER, "as-user-extra", json!({"a": ["b"]}), "users[1].user.as-user-extra would act"),
        (USER, "username", json!("hunter2"), "users[1].user.username is what no Kubernetes since 1.19 takes"),
        (CLUSTER, "certificate-authority", json!("/x"), "clusters[1].cluster.certificate-authority names a file"),
        (CLUSTER, "insecure-skip-tls-verify", json!(true), "clusters[1].cluster.insecure-skip-tls-verify leaves open"),
        (CLUSTER, "proxy-url", json!("http://p:3128"), "clusters[1].cluster.proxy-url would lead"),
        (CLUSTER, "server", json!("http://10.0.0.1"), "clusters[1].cluster.server would send the credential"),
        (CLUSTER, "server", json!("https://hunter2:x@a"), "clusters[1].cluster.server holds a user name"),
        (CLUSTER, "server", json!("https://169.254.169.254"), "clusters[1].cluster.server is a link-local address"),
        (CLUSTER, "server", json!("https://[fe80::1]:6443"), "clusters[1].cluster.server is a link-local address"),
        (CLUSTER, "server", json!("https://[::ffff:a9fe:a9fe]"), "clusters[1].cluster.server is a link-local address"),
    ] {
        let problem = problem(&with(place, field, value));
        assert!(problem.starts_with(&format!("the kubeconfig is refused: {message}")), "{problem}");
    }
}

#[test]
fn fields_that_are_there_but_empty_do_no_harm() {
    for (place, field, value) in [
        (USER, "exec", Value::Null),
        (USER, "tokenFile", json!("")),
        (CLUSTER, "insecure-skip-tls-verify", json!(false)),
        (CLUSTER, "server", json!("https://127.0.0.1:6443")),
        (CLUSTER, "tls-server-name", json!("kubernetes.default")),
    ] {
        assert!(access(&with(place, field, value)).is_ok(), "{field}");
    }
}

#[test]
fn what_cannot_work_says_where() {
    let (certificate, key) = identity_until(2040);
    let pem_of_nothing = STANDARD.encode("hunter2");
    for (config, message) in [
        (with("", "current-context", Value::Null), "lacks current-context: name the context"),
        (with("", "current-context", json!("x")), r#"lacks contexts: current-context names "x", which is not there"#),
        (with("/contexts/1/context", "user", json!("x")), r#"lacks users: contexts[1].context.user names "x""#),
        (with("/contexts/1/context", "cluster", json!(7)), "cannot work: contexts[1].context.cluster is no text"),
        (with("/contexts/0", "name", json!("eu-1")), r#"cannot work: contexts has "eu-1" twice"#),
        (with("/clusters/1", "cluster", Value::Null), r#"lacks clusters[1].cluster: say what "eu-1" is"#),
        (with("", "users", json!({})), "cannot work: users is no list"),
        (with(CLUSTER, "server", Value::Null), "lacks clusters[1].cluster.server: give the API server's address"),
        (with(CLUSTER, "server", json!("eu-1")), "cannot work: clusters[1].cluster.server is no address"),
        (with(CLUSTER, "server", json!("https://a?b=c")), "cannot work: clusters[1].cluster.server has a query"),
        (with(CLUSTER, "tls-server-name", json!("a b")), "cannot work: clusters[1].cluster.tls-server-name is no host"),
        (
            with(CLUSTER, "certificate-authority-data", json!("hunter2")),
            "cannot work: clusters[1].cluster.certificate-authority-data is not base64",
        ),
        (
            with(CLUSTER, "certificate-authority-data", json!(pem_of_nothing)),
            "cannot work: clusters[1].cluster.certificate-authority-data holds no certificate in PEM",
        ),
        (
            with(
                CLUSTER,
                "certificate-authority-data",
                json!(STANDARD.encode("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
            ),
            "cannot work: clusters[1].cluster.certificate-authority-data holds what is no X.509 certificate",
        ),
        (with("/users/1", "user", json!({})), "lacks users[1].user.token: the user has no credential"),
        (with(USER, "token", json!("hunter2\n")), "cannot work: users[1].user.token holds a character"),
        (
            with("/users/1", "user", json!({"client-certificate-data": certificate})),
            "lacks users[1].user.client-key-data",
        ),
        (with("/users/1", "user", json!({"client-key-data": key})), "lacks users[1].user.client-certificate-data"),
        (
            with(
                "/users/1",
                "user",
                json!({"client-certificate-data": certificate, "client-key-data": identity_until(2040).1}),
            ),
            "cannot work: users[1].user.client-key-data is not the key of the client certificate",
        ),
        (
            with("/users/1", "user", json!({"client-certificate-data": certificate, "client-key-data": certificate})),
            "cannot work: users[1].user.client-key-data holds no private key in PEM",
        ),
    ] {
        let problem = problem(&config);
        assert!(problem.starts_with(&format!("the kubeconfig {message}")), "{problem}");
    }
}

#[test]
fn what_is_no_kubeconfig_is_called_so() {
    let problem = |bytes: &[u8]| read(bytes, now()).unwrap_err().to_string();
    assert!(problem(b"").ends_with("it is empty"));
    assert!(problem(b"- a").ends_with("it is no mapping"));
    assert!(problem(b"kind: Secret").ends_with("its kind is not Config"));
    assert!(problem(b"a: 1\n---\nb: 2\n").contains("several documents"));
    assert!(problem(b"\xff").contains("UTF-8"));
    assert!(problem(b"token: \"hunter2").contains("no YAML"));
    assert!(problem(b"a: &a [x]\nb: [*a, *a]").contains("an anchor"));
    assert!(problem(&vec![b'a'; MAX_SIZE + 1]).contains("1048577 bytes"));
}

#[test]
fn a_credential_that_has_ended_is_named() {
    let user = |year: i32| {
        let (certificate, key) = identity_until(year);
        with("/users/1", "user", json!({"client-certificate-data": certificate, "client-key-data": key}))
    };
    assert!(access(&user(2030)).unwrap().auth_info.client_key_data.is_some());
    let expired = problem(&user(2025));
    assert!(expired.contains("users[1].user.client-certificate-data expired at 2025-12-31T00:00:00Z"), "{expired}");

    let token = |end: Timestamp| {
        let claims =
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json!({"exp": end.as_second()}).to_string());
        with(USER, "token", json!(format!("e30.{claims}.hunter2")))
    };
    access(&token(now() + 1.second())).unwrap();
    let expired = problem(&token(now() - 1.second()));
    assert!(expired.contains("users[1].user.token expired at 2026-11-24T14:59:59Z"), "{expired}");
}

#[test]
fn a_client_can_be_made_of_it() {
    let _ = ring::default_provider().install_default();
    let (certificate, key) = identity_until(2030);
    let config = with("/users/1", "user", json!({"client-certificate-data": certificate, "client-key-data": key}));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { kube::Client::try_from(access(&config).unwrap()).unwrap() });
}

#[test]
fn the_key_in_the_secret_is_the_one_named_or_a_usual_one() {
    assert_eq!(secret_key(["a", "value", "config"], None), Ok("value"));
    assert_eq!(secret_key(["kubeconfig", "config", "client-key"], None), Ok("config"));
    assert_eq!(secret_key(["kubeconfig"], None), Ok("kubeconfig"));
    assert_eq!(secret_key(["a", "value"], Some("a")), Ok("a"));
    let problem = |keys: &[&'static str], wanted| secret_key(keys.iter().copied(), wanted).unwrap_err().to_string();
    assert_eq!(problem(&["a", "b"], Some("c")), r#"the Secret has no key "c": it has a, b"#);
    assert!(problem(&["a", "b"], None).ends_with("it has a, b"));
    assert!(problem(&[], None).ends_with("it has none"));
}
