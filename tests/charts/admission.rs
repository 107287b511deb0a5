//! A real API server that enforces Pod Security "restricted" judges the pods of the charts.

use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use orbit_plane::manifestor::RunAs;
use serde_json::json;

use crate::{
    helm::{ChartDir, of_kind},
    samples::samples,
};

async fn client() -> Client {
    let path = std::env::var("KUBECONFIG").unwrap_or_else(|_| {
        panic!("this test needs a cluster: set KUBECONFIG, as in KUBECONFIG=$(testbed up) cargo test --test charts")
    });
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(&path).unwrap_or_else(|e| panic!("KUBECONFIG {path}: {e}"));
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

#[tokio::test]
async fn restricted_admits_the_eligible_and_rejects_root() {
    let client = client().await;
    let name = format!("orbit-charts-{:x}", fastrand::u64(..));
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let namespace = json!({"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}});
    namespaces.create(&PostParams::default(), &serde_json::from_value(namespace).unwrap()).await.unwrap();

    // The namespace goes whatever comes of the verdicts.
    let verdicts = verdicts(client, &name).await;
    namespaces.delete(&name, &DeleteParams::default()).await.unwrap();
    for (sample, eligible, verdict) in verdicts.unwrap() {
        match (eligible, verdict) {
            (true, Ok(())) => {}
            (false, Err(e)) => assert!(e.contains("violates PodSecurity \"restricted"), "{sample}: {e}"),
            (true, Err(e)) => panic!("{sample} is eligible, but: {e}"),
            (false, Ok(())) => panic!("{sample} runs as root and was admitted"),
        }
    }
}

type Verdict = (&'static str, bool, Result<(), String>);

async fn verdicts(client: Client, namespace: &str) -> Result<Vec<Verdict>, kube::Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    let mut verdicts = Vec::new();
    for sample in samples() {
        let objects = ChartDir::new(&sample.chart()).template(&json!({})).unwrap();
        if verdicts.is_empty() {
            let mut account = of_kind(&objects, "ServiceAccount").unwrap().clone();
            account["metadata"]["namespace"] = json!(namespace);
            accounts.create(&PostParams::default(), &serde_json::from_value(account).unwrap()).await?;
        }
        let mut pod = of_kind(&objects, "Deployment").unwrap()["spec"]["template"].clone();
        pod["metadata"]["name"] = json!("web");
        let verdict = pods.create(&dry_run, &serde_json::from_value(pod).unwrap()).await;
        let eligible = matches!(sample.run_as, RunAs::Numeric { .. });
        verdicts.push((sample.name, eligible, verdict.map(drop).map_err(|e| e.to_string())));
    }
    Ok(verdicts)
}
