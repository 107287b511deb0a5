//! Events and what they become, without a database.

use std::collections::BTreeMap;

use pretty_assertions::assert_eq;
use serde_json::json;

use super::*;
use crate::{
    api::{ReferenceSource, RetentionPolicy, SelectionReason, Workload},
    chart_store::{DeploymentState, SCHEMA_VERSION},
    release::{ApplicationKey, ClusterRef, ImagePlatform},
    viewport::{
        change::Rows,
        schema::{ARRIVALS, DEPLOYMENT_IMAGES, DEPLOYMENTS, HEALTH, MILESTONES, TABLES},
    },
};

/// A journal of these facts, a second apart.
fn journal(facts: impl IntoIterator<Item = Fact>) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for (seq, fact) in (1..).zip(facts) {
        events.push(Event {
            schema_version: SCHEMA_VERSION,
            plane: "orbit".into(),
            key: ApplicationKey::new("shop", "web"),
            seq,
            prev_hash: events.last().map(Event::hash),
            id: Digest::of(seq.to_string()),
            time: jiff::Timestamp::from_second(1_767_323_045 + i64::try_from(seq).unwrap()).unwrap(),
            actor: "maria".into(),
            fact,
            spec: None,
        });
    }
    events
}

/// The rows that facts become.
fn rows(facts: impl IntoIterator<Item = Fact>) -> Rows {
    let mut rows = Rows::default();
    for change in journal(facts).iter().flat_map(project) {
        rows.apply(change).unwrap();
    }
    rows
}

/// The rows of a table, each as these columns of it.
fn columns(rows: &Rows, table: &Table, names: &[&str]) -> Vec<Vec<String>> {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Text(text) => text.clone(),
    };
    let held = |row: &Values, name: &str| text(&row.iter().find(|(column, _)| *column == name).unwrap().1);
    rows.of(table).map(|row| names.iter().map(|name| held(row, name)).collect()).collect()
}

fn stored(version: &str) -> Fact {
    let manifest = Digest::of("manifest");
    let platforms = vec![ImagePlatform { platform: "linux/amd64".into(), manifest, config: Digest::of("config") }];
    let image = StoredImage {
        name: "main".into(),
        digest: manifest,
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        size: u64::MAX,
        platforms,
        blobs: Vec::new(),
    };
    let mut release = Release::new("web", version, vec![image], BTreeMap::new(), Workload::default());
    let reference = ReferenceSource { image: "registry.example/web:1".into(), pull_secret_ref: None };
    release.sources.insert("main".into(), ImageSource { reference: Some(reference), archive: None });
    Fact::Stored { release }
}

fn described(environments: &[&str], labels: &[(&str, &str)]) -> Fact {
    let description = Description {
        environments: environments.iter().map(|name| (*name).to_owned()).collect(),
        metadata: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..Description::default()
    };
    Fact::Described { version: "1.0.0".into(), description }
}

fn selected(version: &str) -> Fact {
    let (environment, version) = ("prod".to_owned(), version.to_owned());
    Fact::Selected { environment, version, chart_digest: Digest::of("chart"), reason: SelectionReason::Pinned }
}

fn rendered(version: &str) -> Fact {
    Fact::Rendered {
        environment: "prod".into(),
        version: Some(version.into()),
        artifact: Digest::of(version),
        inputs_digest: Digest::of("inputs"),
        objects: 6,
        images: vec![OverlayImage { reference: "web@…".into(), digest: Some(Digest::of("manifest")), tracked: true }],
    }
}

fn removed() -> Fact {
    Fact::EnvironmentRemoved { environment: "prod".into() }
}

/// A deployment, numbered as the store numbers it.
fn deployed(version: &str, state: DeploymentState, attempt: u64, replaces: Option<u64>) -> Fact {
    Fact::Deployment(Deployment {
        environment: "prod".into(),
        cluster: ClusterRef::new("fleet", "eu-1", "7b0c"),
        version: Some(version.into()),
        artifact: Digest::of(version),
        images: vec![Digest::of(format!("image of {version}"))],
        state,
        inventory: None,
        detail: None,
        attempt,
        replaces,
    })
}

#[test]
fn a_release_is_found_by_each_of_its_images_digests_once() {
    let rows = rows([stored("1.0.0")]);
    let mut digests = [Digest::of("manifest"), Digest::of("config")].map(|digest| digest.to_string());
    digests.sort();
    assert_eq!(columns(&rows, &IMAGE_DIGESTS, &["digest"]).concat(), digests);
    // What is beyond a column's numbers is its largest.
    assert_eq!(columns(&rows, &IMAGES, &["size"]).concat(), [i64::MAX.to_string()]);
    assert_eq!(columns(&rows, &UPLOADS, &["source", "uploaded_by"]), [["registry.example/web:1", "maria"]]);
    assert_eq!(columns(&rows, &APPLICATIONS, &["last_version"]).concat(), ["1.0.0"]);
}

#[test]
fn the_last_description_counts() {
    let rows = rows([
        stored("1.0.0"),
        described(&["dev", "prod"], &[("team", "checkout"), ("ticket", "ORB-7")]),
        described(&["prod"], &[("team", "payments")]),
    ]);
    assert_eq!(columns(&rows, &RELEASE_ENVIRONMENTS, &["environment"]).concat(), ["prod"]);
    assert_eq!(columns(&rows, &METADATA, &["name", "value"]), [["team", "payments"]]);
}

#[test]
fn labels_that_are_the_same_once_cut_are_one() {
    let (one, other) = ("n".repeat(255) + "1", "n".repeat(255) + "2");
    let rows = rows([stored("1.0.0"), described(&[], &[(&one, "first"), (&other, "second")])]);
    assert_eq!(columns(&rows, &METADATA, &["value"]).concat(), ["second"]);
}

#[test]
fn an_environment_that_comes_back_keeps_what_was_rendered() {
    let now = |facts: Vec<Fact>| {
        columns(&rows(facts), &ENVIRONMENTS, &["version", "rendered_version", "rendered_seq", "removed_at"]).concat()
    };
    let mut facts = vec![selected("1.0.0"), rendered("1.0.0")];
    assert_eq!(now(facts.clone()), ["1.0.0", "1.0.0", "2", "-"]);
    facts.push(removed());
    assert_eq!(now(facts.clone()), ["-", "1.0.0", "2", "2026-01-02T03:04:08.000Z"]);
    facts.push(selected("1.0.0"));
    assert_eq!(now(facts), ["1.0.0", "1.0.0", "2", "-"]);
}

#[test]
fn manifests_of_its_own_take_the_place_of_a_version() {
    let own = Fact::Rendered {
        environment: "prod".into(),
        version: None,
        artifact: Digest::of("own"),
        inputs_digest: Digest::of("inputs"),
        objects: 1,
        images: vec![],
    };
    let rows = rows([selected("1.0.0"), rendered("1.0.0"), own]);
    assert_eq!(
        columns(&rows, &ENVIRONMENTS, &["version", "rendered_version", "rendered_seq"]).concat(),
        ["-", "-", "3"]
    );
}

#[test]
fn every_rendering_stays_with_its_images() {
    let rows = rows([selected("1.0.0"), rendered("1.0.0"), selected("2.0.0"), rendered("2.0.0")]);
    assert_eq!(columns(&rows, &OVERLAYS, &["seq", "version"]), [["2", "1.0.0"], ["4", "2.0.0"]]);
    assert_eq!(columns(&rows, &OVERLAY_IMAGES, &["seq", "position", "tracked"]), [["2", "0", "1"], ["4", "0", "1"]]);
    assert_eq!(columns(&rows, &ENVIRONMENTS, &["rendered_seq"]).concat(), ["4"]);
}

#[test]
fn an_attempt_runs_until_another_does() {
    use DeploymentState::{Applied, Failed, Healthy, Requested};
    let mut facts = vec![
        deployed("1.0.0", Requested, 1, None),
        deployed("1.0.0", Applied, 1, None),
        deployed("1.0.0", Healthy, 1, None),
        deployed("2.0.0", Requested, 2, None),
    ];
    let now = |facts: &[Fact]| {
        columns(
            &rows(facts.to_vec()),
            &DEPLOYMENTS,
            &["version", "state", "is_current", "is_running", "applied_at", "ended_at"],
        )
    };
    let (second, fifth) = ("2026-01-02T03:04:07.000Z", "2026-01-02T03:04:10.000Z");
    let first = |is_running: &'static str, ended_at| ["1.0.0", "healthy", "0", is_running, second, ended_at];
    assert_eq!(now(&facts), [first("1", "-"), ["2.0.0", "requested", "1", "-", "-", "-"]]);
    facts.push(deployed("2.0.0", Applied, 2, Some(1)));
    assert_eq!(now(&facts), [first("0", fifth), ["2.0.0", "applied", "1", "1", fifth, "-"]]);
    facts.push(deployed("2.0.0", Failed, 2, None));
    assert_eq!(now(&facts), [first("0", fifth), ["2.0.0", "failed", "1", "1", fifth, "-"]]);
    let images = columns(&rows(facts), &DEPLOYMENT_IMAGES, &["attempt", "digest"]);
    let digest = |version: &str| Digest::of(format!("image of {version}")).to_string();
    assert_eq!(images, [["1".to_owned(), digest("1.0.0")], ["2".to_owned(), digest("2.0.0")]]);
}

#[test]
fn a_cluster_that_comes_back_takes_its_end_back() {
    use DeploymentState::{Applied, Healthy, Lost};
    let mut facts = vec![deployed("1.0.0", Applied, 1, None), deployed("1.0.0", Lost, 1, None)];
    let now = |facts: &[Fact]| {
        columns(&rows(facts.to_vec()), &DEPLOYMENTS, &["state", "is_current", "is_running", "ended_at"]).concat()
    };
    assert_eq!(now(&facts), ["lost", "1", "0", "2026-01-02T03:04:07.000Z"]);
    facts.push(deployed("1.0.0", Healthy, 1, None));
    assert_eq!(now(&facts), ["healthy", "1", "1", "-"]);
}

#[test]
fn reports_know_when_things_first_were_and_how_health_went() {
    use DeploymentState::{Applied, Degraded, Healthy, Requested};
    let states = [Requested, Applied, Healthy, Degraded, Healthy, Applied];
    let rows = rows(states.map(|state| deployed("1.0.0", state, 1, None)));
    assert_eq!(
        columns(&rows, &MILESTONES, &["attempt", "state", "reached_at"]),
        [["1", "applied", "2026-01-02T03:04:07.000Z"], ["1", "degraded", "2026-01-02T03:04:09.000Z"]]
    );
    assert_eq!(
        columns(&rows, &ARRIVALS, &["environment", "version", "healthy_at"]),
        [["prod", "1.0.0", "2026-01-02T03:04:08.000Z"]]
    );
    assert_eq!(columns(&rows, &HEALTH, &["seq", "state"]), [["3", "healthy"], ["4", "degraded"], ["5", "healthy"]]);
}

#[test]
fn deletion_and_purging_leave_what_was() {
    let Fact::Stored { release } = stored("1.0.0") else { unreachable!() };
    let release_digest = release.digest;
    let rows = rows([
        Fact::Stored { release },
        Fact::UploadDeleted {
            upload: "web".into(),
            version: "1.0.0".into(),
            retention_policy: RetentionPolicy::Delete,
        },
        Fact::Purged { version: "1.0.0".into(), release_digest },
    ]);
    assert_eq!(columns(&rows, &UPLOADS, &["retention", "deleted_at"]), [["Delete", "2026-01-02T03:04:07.000Z"]]);
    assert_eq!(columns(&rows, &RELEASES, &["purged_at", "purged_by"]), [["2026-01-02T03:04:08.000Z", "maria"]]);
}

#[test]
fn the_history_is_the_journal() {
    let facts = [stored("1.0.0"), selected("1.0.0"), rendered("1.0.0"), removed()];
    let events = journal(facts.clone());
    let history = columns(&rows(facts), &EVENTS, &["seq", "id", "prev_hash", "hash", "transition"]);
    for (row, event) in history.iter().zip(&events) {
        let previous = event.prev_hash.map_or("-".to_owned(), |hash| hash.to_string());
        let transition = event.fact.transition().to_owned();
        assert_eq!(*row, [event.seq.to_string(), event.id.to_string(), previous, event.hash().to_string(), transition]);
    }
    assert_eq!(history.len(), events.len());
}

#[test]
fn what_a_newer_program_says_is_history_and_nothing_else() {
    let unknown: Fact =
        serde_json::from_value(json!({"transition": "promoted", "environment": "prod", "version": "1.0.0"})).unwrap();
    let event = &journal([unknown])[0];
    let tables: Vec<_> = project(event)
        .iter()
        .map(|change| match change {
            Change::Add(table, _)
            | Change::Put(table, _)
            | Change::Keep(table, _)
            | Change::Set(table, _)
            | Change::Remove(table, _) => table.name,
        })
        .collect();
    assert_eq!(tables, ["applications", "events"]);
}

#[test]
fn the_same_event_becomes_the_same_changes_of_its_own_application() {
    let facts = [
        stored("1.0.0"),
        described(&["prod"], &[("a", "b")]),
        selected("1.0.0"),
        rendered("1.0.0"),
        deployed("1.0.0", DeploymentState::Applied, 3, Some(2)),
        deployed("1.0.0", DeploymentState::Lost, 3, Some(2)),
        removed(),
    ];
    for event in journal(facts) {
        assert_eq!(project(&event), project(&event));
        for change in project(&event) {
            let (Change::Add(table, values)
            | Change::Put(table, values)
            | Change::Keep(table, values)
            | Change::Set(table, values)
            | Change::Remove(table, values)) = change;
            assert_eq!(values[..2], [("namespace", "shop".into()), ("application", "web".into())], "{}", table.name);
            assert!(TABLES.contains(&table), "{}", table.name);
        }
    }
}
