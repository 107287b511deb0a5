//! TLS from a Secret that is renewed while the plane runs.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{clients::Clients, cluster::with_namespace, plane::Stores, scene::Scene};

/// A new certificate for loopback in the Secret; what clients have to trust for it.
async fn renew(secrets: &Api<Secret>) -> String {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let pem = made.cert.pem();
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "plane-tls"}, "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": pem, "tls.key": made.signing_key.serialize_pem(), "ca.crt": pem},
    });
    secrets.patch("plane-tls", &PatchParams::apply("test").force(), &Patch::Apply(secret)).await.unwrap();
    pem
}

/// Waits until somebody who trusts this certificate and no other is answered.
async fn until_shown(url: &str, pem: &str) {
    let certificate = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    let shown = async {
        // A connection that is kept has the old certificate.
        while let Err(error) = client(&certificate).get(url).send().await {
            assert!(error.is_connect() || error.is_request(), "{error:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), shown).await.expect("the certificate is shown");
}

fn client(certificate: &reqwest::Certificate) -> reqwest::Client {
    reqwest::Client::builder().tls_certs_only([certificate.clone()]).build().unwrap()
}

#[tokio::test]
async fn a_renewed_certificate_takes_no_restart() {
    with_namespace(|client, namespace| async move {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
        let first = renew(&secrets).await;
        let secret = format!("{namespace}/plane-tls");
        let scene = Scene::of(client, &namespace, Stores::Embedded, &["--tls-secret", &secret]).await;
        let (host, image) = (scene.plane.registry(), scene.repository("web:1.0.0"));
        let url = format!("https://{host}/v2/");
        until_shown(&url, &first).await;

        let mut clients = Clients::new();
        let refusal = clients.must_not("crane", &["manifest", &image]).await;
        assert!(refusal.contains("certificate"), "{refusal}");
        let mut pem = first;
        for _ in 0..2 {
            until_shown(&url, &pem).await;
            let trusted = clients.path("ca.pem");
            std::fs::write(&trusted, &pem).unwrap();
            clients.certificates = Some(trusted.into());
            clients.must("crane", &["auth", "login", &host, "-u", "anybody", "-p", &scene.reader]).await;
            clients.must("crane", &["validate", "--remote", &image]).await;
            pem = renew(&secrets).await;
        }
        // Nothing is said to those who do not speak TLS.
        assert!(reqwest::get(format!("http://{host}/v2/")).await.is_err());
    })
    .await;
}
