//! What runs where, for people: a matrix of environments with their versions and clusters.

use super::table::{table, time};
use crate::{
    cli::text::printable,
    release::ClusterRef,
    viewport::{Deployment, Lifecycle},
};

/// Columns of clusters that a terminal has room for; more of them go below.
const ABREAST: usize = 4;

/// Whether nothing of a deployment is left in its cluster.
pub fn is_gone(deployment: &Deployment) -> bool {
    matches!(deployment.state.as_str(), "removed" | "lost")
}

/// The matrix, and what there is to say of those that are not well. `hidden` is how many are gone and left out.
pub fn of(lifecycle: &Lifecycle, hidden: usize) -> String {
    let deployments = &lifecycle.deployments;
    let mut columns: Vec<_> = deployments.iter().map(|one| &one.cluster).collect();
    columns.sort_unstable();
    columns.dedup();
    let mut rows: Vec<_> = deployments.iter().map(|one| (one.environment.as_str(), one.version.as_deref())).collect();
    // In an environment the newest release first, as above; then those not shown there, and manifests of its own.
    let age = |version: &str| lifecycle.releases.iter().position(|release| release.version == version);
    let age = |version: Option<&str>| (version.is_none(), version.and_then(age).unwrap_or(usize::MAX));
    rows.sort_by(|a, b| (a.0, age(a.1), a.1).cmp(&(b.0, age(b.1), b.1)));
    rows.dedup();

    let mut text = String::new();
    for columns in columns.chunks(ABREAST) {
        let head = ["ENVIRONMENT", "VERSION"]
            .map(str::to_owned)
            .into_iter()
            .chain(columns.iter().map(|cluster| name(cluster, deployments)))
            .collect();
        let rows = rows.iter().filter_map(|(environment, version)| {
            let cells: Vec<String> = columns
                .iter()
                .map(|cluster| {
                    let here = deployments.iter().filter(|one| {
                        one.cluster == **cluster
                            && one.environment == *environment
                            && one.version.as_deref() == *version
                    });
                    here.map(cell).collect::<Vec<_>>().join(", ")
                })
                .collect();
            let anywhere = cells.iter().any(|cell| !cell.is_empty());
            let row = [printable(environment), version.map_or_else(|| "-".to_owned(), printable)];
            anywhere.then(|| row.into_iter().chain(cells).collect())
        });
        text.push_str(&table(head, rows));
        text.push('\n');
    }
    let reasons: Vec<_> = deployments.iter().filter_map(|one| reason(one, deployments)).collect();
    if !reasons.is_empty() {
        text.push_str(&format!("{}\n\n", reasons.join("\n")));
    }
    if hidden > 0 {
        text.push_str(&format!("{hidden} removed or lost: --all shows them.\n\n"));
    }
    text
}

/// A cluster's name, with the beginning of its UID where others have had the name.
fn name(cluster: &ClusterRef, deployments: &[Deployment]) -> String {
    let is_namesake = |other: &ClusterRef| other.uid != cluster.uid && other.to_string() == cluster.to_string();
    let name = printable(&cluster.to_string());
    if deployments.iter().any(|one| is_namesake(&one.cluster)) {
        format!("{name} ({})", printable(&cluster.uid).chars().take(8).collect::<String>())
    } else {
        name
    }
}

/// How far it got, since when (UTC).
fn cell(deployment: &Deployment) -> String {
    let state = printable(&deployment.state);
    let since = time(&deployment.since);
    if deployment.current { format!("{state} {since}") } else { format!("{state} {since}, leaving") }
}

/// What is wrong with a deployment that is not well.
fn reason(deployment: &Deployment, all: &[Deployment]) -> Option<String> {
    let unwell = matches!(deployment.state.as_str(), "degraded" | "failed" | "rolledBack" | "lost");
    let detail = deployment.detail.as_ref().filter(|_| unwell)?;
    let Deployment { environment, cluster, state, .. } = deployment;
    Some(printable(&format!("{environment} in {} is {state}: {detail}", name(cluster, all))))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::digest::Digest;

    fn deployment(environment: &str, cluster: [&str; 2], version: Option<&str>, state: &str, more: Value) -> Value {
        let [name, uid] = cluster;
        let mut deployment = json!({
            "application": "web", "environment": environment, "attempt": 1, "version": version,
            "cluster": {"namespace": "fleet", "name": name, "uid": uid}, "artifact": Digest::of("artifact"), "images": [],
            "state": state, "since": "2026-01-02T03:04:05.678Z", "current": true, "running": true,
        });
        deployment.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        deployment
    }

    fn lifecycle(deployments: Vec<Value>) -> Lifecycle {
        let release = |version: &str| {
            json!({
                "version": version, "digest": Digest::of(version), "storedAt": "2026-01-02T03:04:05.678Z",
                "storedBy": "maria", "environments": [], "images": [],
            })
        };
        serde_json::from_value(json!({
            "namespace": "shop", "application": "web", "releases": [release("1.10.0"), release("1.9.0")],
            "environments": [], "deployments": deployments, "events": {"items": []},
        }))
        .unwrap()
    }

    #[test]
    fn people_see_what_runs_where() {
        let broken = json!({"detail": "web-7d9 cannot pull\u{1b}[2J its image"});
        let lifecycle = lifecycle(vec![
            deployment("dev", ["eu-1", "a"], Some("1.10.0"), "healthy", json!({})),
            deployment("prod", ["eu-1", "a"], Some("1.9.0"), "healthy", json!({"current": false})),
            deployment("prod", ["eu-1", "a"], Some("1.10.0"), "requested", json!({"running": false})),
            deployment("prod", ["eu-1", "a"], Some("1.0.0"), "failed", json!({"current": false})),
            deployment("prod", ["us-1", "0123456789"], Some("1.9.0"), "lost", json!({"detail": "not seen for 1h"})),
            deployment("prod", ["us-1", "abcdefghij"], Some("1.10.0"), "degraded", broken),
            deployment("tools", ["eu-1", "a"], None, "healthy", json!({})),
        ]);
        insta::assert_snapshot!(of(&lifecycle, 3));
    }

    #[test]
    fn many_clusters_go_below_each_other() {
        let names = ["a", "b", "c", "d", "e", "f"];
        let all = names.map(|name| deployment("prod", [name, name], Some("1.9.0"), "healthy", json!({})));
        let text = of(&lifecycle(all.into()), 0);
        let heads: Vec<_> = text.lines().filter(|line| line.starts_with("ENVIRONMENT")).collect();
        assert_eq!(heads.len(), 2);
        assert!(heads[0].contains("fleet/d") && heads[1].contains("fleet/e"), "{text}");
    }

    #[test]
    fn what_was_never_deployed_has_no_matrix() {
        assert_eq!(of(&lifecycle(Vec::new()), 0), "");
    }
}
