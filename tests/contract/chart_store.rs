//! The Chart Store contract: SQLite and DynamoDB.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use futures::{FutureExt, future::join_all};
use jiff::{Timestamp, ToSpan};
use orbit_plane::{
    api::{SelectionReason, Workload},
    chart_store::{
        Advance, AnsweredRequest, ChartStore, ChartStoreError, Condition, Deployment, DeploymentState, DynamoDbTable,
        Entry, Fact, Item, ItemKey, Range, Recorded, SessionState, Spec, SpecChange, SqliteTable, Table, TableError,
        UploadSession, Write, changes_of, requests_of, verify, verify_journal,
    },
    digest::Digest,
    image_harbor::StagedChunk,
    release::{ApplicationKey, ChartRecord, ClusterRef, Description, ImagePlatform, Release, StoredImage},
};

struct Under {
    store: ChartStore,
    table: Arc<dyn Table>,
    _directory: Option<tempfile::TempDir>,
}

async fn sqlite() -> Under {
    let directory = tempfile::tempdir().unwrap();
    let table: Arc<dyn Table> = Arc::new(SqliteTable::open(directory.path()).await.unwrap());
    Under { store: ChartStore::on("orbit", table.clone()).unwrap(), table, _directory: Some(directory) }
}

/// A table of its own for every test: the test server copies the whole table in each transaction.
async fn dynamodb() -> Under {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = std::env::var("ORBIT_TEST_DYNAMODB_ENDPOINT")
        .expect("ORBIT_TEST_DYNAMODB_ENDPOINT is not set: start the stores and `eval \"$(testbed env)\"`");
    let name = format!("test-{}", uuid::Uuid::new_v4());
    let table: Arc<dyn Table> = Arc::new(DynamoDbTable::open(&name, Some(&endpoint.parse().unwrap())).await.unwrap());
    Under { store: ChartStore::on("orbit", table.clone()).unwrap(), table, _directory: None }
}

macro_rules! contract {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test] async fn $name() { super::$name(super::sqlite().await).await; })*
        }
        mod on_dynamodb {
            $(#[tokio::test] async fn $name() { super::$name(super::dynamodb().await).await; })*
        }
    };
}

contract!(
    transactions_are_all_or_nothing,
    ranges_are_ordered_and_paged,
    a_release_is_recorded_once,
    the_same_version_with_other_content_is_refused,
    facts_that_recur_are_recorded_when_they_change,
    an_environment_of_manifests_ends_and_comes_back,
    manifests_and_versions_take_turns,
    deployments_are_recorded_per_environment_and_cluster,
    a_cluster_made_anew_is_another,
    racing_states_of_a_deployment_are_all_recorded,
    racing_writers_leave_one_chain,
    a_writer_whose_answer_was_lost_knows_its_own_event,
    a_purged_version_leaves_a_tombstone,
    releases_are_found_by_digest_and_user_within_a_tenant,
    links_are_an_applications_own,
    a_session_moves_forward_by_compare_and_set,
    a_session_starts_over,
    requests_are_appended_in_order_and_once,
    changes_of_specs_tell_what_was_before,
    tampering_is_found,
);

fn web() -> ApplicationKey {
    ApplicationKey::new("shop", "web")
}

fn image(content: &str) -> StoredImage {
    let config = Digest::of(format!("config of {content}"));
    let manifest = Digest::of(format!("manifest of {content}"));
    StoredImage {
        name: "main".into(),
        digest: manifest,
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        size: 1,
        platforms: vec![ImagePlatform { platform: "linux/amd64".into(), manifest, config }],
        blobs: vec![config, manifest],
    }
}

fn release(version: &str, content: &str) -> Release {
    Release::new("web", version, vec![image(content)], BTreeMap::new(), Workload::default())
}

fn by(actor: &str, fact: Fact) -> Entry {
    Entry { actor: actor.into(), fact, spec: None, chart_package: None }
}

fn stored(version: &str, content: &str) -> Entry {
    by("maria", Fact::Stored { release: release(version, content) })
}

fn selected(version: &str) -> Entry {
    let fact = Fact::Selected {
        environment: "prod".into(),
        version: version.into(),
        chart_digest: Digest::of(version),
        reason: SelectionReason::Newest,
    };
    by("orbit-plane", fact)
}

async fn assert_whole(store: &ChartStore) {
    assert_eq!(verify(store).await.unwrap(), []);
}

async fn transactions_are_all_or_nothing(under: Under) {
    let key = |sort: &str| ItemKey::new("p", sort);
    let put = |sort: &str, body: &str, condition| Write::put(key(sort), body, condition);
    let table = &under.table;
    table.transact(&[put("a", "1", Condition::Absent), put("b", "1", Condition::Any)]).await.unwrap();
    let a = table.get(&key("a")).await.unwrap().unwrap();
    for (condition, holds) in [
        (Condition::Absent, false),
        (Condition::Etag("other".into()), false),
        (Condition::Present, true),
        (Condition::Etag(a.etag.clone()), true),
    ] {
        let writes = [put("c", "1", Condition::Any), Write::check(key("a"), condition.clone())];
        match table.transact(&writes).await {
            Ok(()) => assert!(holds, "{condition:?}"),
            Err(TableError::ConditionFailed { failed }) => assert!(!holds && failed == [1], "{condition:?} {failed:?}"),
            Err(error) => panic!("{error}"),
        }
        assert_eq!(table.get(&key("c")).await.unwrap().is_some(), holds, "{condition:?}");
        table.transact(&[Write::delete(key("c"), Condition::Any)]).await.unwrap();
    }
    let many: Vec<_> = (0..100).map(|n| put(&format!("many/{n:03}"), "{}", Condition::Absent)).collect();
    table.transact(&many).await.unwrap();
    let found = table.get_all(&[key("many/007"), key("nowhere"), key("a"), key("many/003")]).await.unwrap();
    let found = found.iter().map(|item| item.as_ref().map(|item| item.key.sort.as_str())).collect::<Vec<_>>();
    assert_eq!(found, [Some("many/007"), None, Some("a"), Some("many/003")], "in the order of asking");
    assert!(table.get_all(&[]).await.unwrap().is_empty());
    assert_eq!(table.query(&Range::new("p", "many/"), 1000).await.unwrap().len(), 100);
}

async fn ranges_are_ordered_and_paged(under: Under) {
    let writes = ["b/2", "a", "b/10", "b/1", "c"].map(|sort| Write::put(ItemKey::new("p", sort), "{}", Condition::Any));
    under.table.transact(&writes).await.unwrap();
    let sorts = async |range: Range, limit| {
        let items = under.table.query(&range, limit).await.unwrap();
        items.into_iter().map(|item| item.key.sort).collect::<Vec<_>>()
    };
    assert_eq!(sorts(Range::new("p", "b/"), 10).await, ["b/1", "b/10", "b/2"]);
    assert_eq!(sorts(Range::new("p", "b/"), 2).await, ["b/1", "b/10"]);
    assert_eq!(sorts(Range::new("p", "b/").after(Some("b/10")), 10).await, ["b/2"]);
    assert_eq!(sorts(Range::new("q", ""), 10).await, [""; 0]);
}

async fn a_release_is_recorded_once(under: Under) {
    let store = &under.store;
    let first = store.record(&web(), stored("1.4.0", "a")).await.unwrap();
    assert!(matches!(&first, Recorded::Appended(event) if event.seq == 1), "{first:?}");
    assert_eq!(store.record(&web(), stored("1.4.0", "a")).await.unwrap(), Recorded::Already);
    store.record(&web(), stored("1.5.0", "b")).await.unwrap();
    // Back to a version that is stored: nothing happens.
    assert_eq!(store.record(&web(), stored("1.4.0", "a")).await.unwrap(), Recorded::Already);
    let package = Bytes::from_static(b"packaged");
    let chart = ChartRecord { digest: Digest::of("chart"), package: Digest::of(&package), size: 8, unrestricted: None };
    let charted = |package: &'static [u8]| Entry {
        chart_package: Some(Bytes::from_static(package)),
        ..by("orbit-plane", Fact::Charted { version: "1.4.0".into(), chart: chart.clone() })
    };
    let wrong = store.record(&web(), charted(b"other")).await;
    assert!(matches!(wrong, Err(ChartStoreError::ChartPackage { .. })), "{wrong:?}");
    store.record(&web(), charted(b"packaged")).await.unwrap();
    assert_eq!(store.record(&web(), charted(b"packaged")).await.unwrap(), Recorded::Already);
    assert_eq!(store.chart_package(&web(), "1.4.0").await.unwrap(), Some(package));
    let record = store.release(&web(), "1.4.0").await.unwrap().unwrap();
    assert_eq!((record.actor.as_str(), record.chart), ("maria", Some(chart)));
    assert_eq!(store.events(&web(), 0, 10).await.unwrap().len(), 3);
    assert_eq!(store.releases(&web(), None, 1).await.unwrap().next.as_deref(), Some("1.4.0"));
    assert_whole(store).await;
}

async fn the_same_version_with_other_content_is_refused(under: Under) {
    let store = &under.store;
    store.record(&web(), stored("1.4.0", "a")).await.unwrap();
    match store.record(&web(), stored("1.4.0", "b")).await {
        Err(ChartStoreError::VersionConflict { stored, offered, .. }) => {
            assert_eq!((stored, offered), (release("1.4.0", "a").digest, release("1.4.0", "b").digest));
        }
        other => panic!("{other:?}"),
    }
    let unknown = Fact::Described { version: "9.0.0".into(), description: Description::default() };
    let unknown = store.record(&web(), by("maria", unknown)).await;
    assert!(matches!(unknown, Err(ChartStoreError::ReleaseUnknown { .. })), "{unknown:?}");
    assert_whole(store).await;
}

fn rendered_manifests() -> Fact {
    Fact::Rendered {
        environment: "prod".into(),
        version: None,
        artifact: Digest::of("artifact"),
        inputs_digest: Digest::of("inputs"),
        objects: 1,
        images: vec![],
    }
}

async fn manifests_and_versions_take_turns(under: Under) {
    let store = &under.store;
    for _ in 0..3 {
        for (entry, runs) in [(selected("1.0.0"), Some("1.0.0")), (by("maria", rendered_manifests()), None)] {
            assert!(matches!(store.record(&web(), entry.clone()).await.unwrap(), Recorded::Appended(_)));
            assert_eq!(store.record(&web(), entry).await.unwrap(), Recorded::Already);
            let environment = store.environment(&web(), "prod").await.unwrap().unwrap();
            assert_eq!(environment.selected.map(|selection| selection.version).as_deref(), runs);
        }
    }
    assert_whole(store).await;
}

/// Nothing is ever selected there, so that renderings alone tell of it.
async fn an_environment_of_manifests_ends_and_comes_back(under: Under) {
    let store = &under.store;
    let rendered = rendered_manifests();
    let removed = Fact::EnvironmentRemoved { environment: "prod".into() };
    for _ in 0..3 {
        for (fact, gone) in [(&rendered, false), (&removed, true)] {
            let once = store.record(&web(), by("maria", fact.clone())).await.unwrap();
            assert!(matches!(once, Recorded::Appended(_)), "{fact:?}");
            assert_eq!(store.record(&web(), by("maria", fact.clone())).await.unwrap(), Recorded::Already);
            assert_eq!(store.environment(&web(), "prod").await.unwrap().unwrap().removed, gone);
        }
    }
    assert_whole(store).await;
}

async fn facts_that_recur_are_recorded_when_they_change(under: Under) {
    let store = &under.store;
    for (version, appended) in [("1.0.0", true), ("1.0.0", false), ("2.0.0", true), ("1.0.0", true), ("1.0.0", false)] {
        let recorded = store.record(&web(), selected(version)).await.unwrap();
        assert_eq!(matches!(recorded, Recorded::Appended(_)), appended, "{version}");
    }
    let environment = store.environment(&web(), "prod").await.unwrap().unwrap();
    assert_eq!(environment.selected.unwrap().version, "1.0.0");
    let removed = || by("maria", Fact::EnvironmentRemoved { environment: "prod".into() });
    store.record(&web(), removed()).await.unwrap();
    assert_eq!(store.record(&web(), removed()).await.unwrap(), Recorded::Already);
    assert!(store.environments(&web()).await.unwrap()[0].removed);
    store.record(&web(), selected("1.0.0")).await.unwrap();
    assert_eq!(store.events(&web(), 0, 10).await.unwrap().len(), 5);
    assert_whole(store).await;
}

fn deployed(cluster: &ClusterRef, version: &str, state: DeploymentState) -> Deployment {
    Deployment {
        environment: "prod".into(),
        cluster: cluster.clone(),
        version: Some(version.into()),
        artifact: Digest::of(format!("artifact {version}")),
        images: vec![Digest::of(format!("image {version}"))],
        state,
        inventory: (state == DeploymentState::Applied).then(|| Digest::of(format!("inventory {version}"))),
        detail: Some(format!("{state:?} {version}")),
        attempt: 0,
        replaces: None,
    }
}

async fn deployments_are_recorded_per_environment_and_cluster(under: Under) {
    use DeploymentState::*;
    let store = &under.store;
    let (eu, us) = (ClusterRef::new("fleet", "eu-1", "7b0c"), ClusterRef::new("fleet", "us-1", "91aa"));
    store.record(&web(), stored("1.0.0", "a")).await.unwrap();
    for (cluster, version, state, appended) in [
        (&eu, "1.0.0", Requested, true),
        (&eu, "1.0.0", Requested, false),
        (&us, "1.0.0", Requested, true),
        (&eu, "1.0.0", Applied, true),
        (&eu, "1.0.0", Healthy, true),
        (&eu, "1.0.0", Healthy, false),
        // What comes and goes is recorded each time.
        (&eu, "1.0.0", Degraded, true),
        (&eu, "1.0.0", Healthy, true),
        (&eu, "2.0.0", Requested, true),
        (&eu, "2.0.0", Applied, true),
        (&eu, "2.0.0", Failed, true),
        (&us, "1.0.0", Lost, true),
        (&eu, "2.0.0", Removed, true),
        (&eu, "2.0.0", Removed, false),
    ] {
        let mut fact = deployed(cluster, version, state);
        let once = store.record(&web(), by("orbit-plane", Fact::Deployment(fact.clone()))).await.unwrap();
        assert_eq!(matches!(once, Recorded::Appended(_)), appended, "{fact:?}");
        // Said in other words it is the same.
        fact.detail = Some("in other words".into());
        let again = store.record(&web(), by("orbit-plane", Fact::Deployment(fact))).await.unwrap();
        assert_eq!(again, Recorded::Already);
    }
    let record = store.deployment(&web(), "prod", &eu).await.unwrap().unwrap();
    assert_eq!((record.state, record.attempt, record.version.as_deref()), (Removed, 2, Some("2.0.0")));
    assert_eq!((record.detail.as_deref(), record.applied, record.inventory), (Some("Removed 2.0.0"), None, None));
    let healthy = record.last_healthy.unwrap();
    assert_eq!((healthy.attempt, healthy.version.as_deref()), (1, Some("1.0.0")));
    assert_eq!((healthy.artifact, healthy.images), (Digest::of("artifact 1.0.0"), vec![Digest::of("image 1.0.0")]));
    let all = store.deployments(&web()).await.unwrap();
    let all: Vec<_> = all.iter().map(|one| (one.environment.as_str(), &one.cluster, one.state)).collect();
    assert_eq!(all, [("prod", &eu, Removed), ("prod", &us, Lost)]);
    assert_eq!(store.deployment(&web(), "dev", &eu).await.unwrap(), None);
    let events = store.events(&web(), 0, 100).await.unwrap();
    let ends: Vec<_> = events
        .iter()
        .filter_map(|event| match &event.fact {
            Fact::Deployment(fact) => fact.replaces.map(|replaced| (fact.state, fact.attempt, replaced)),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(Applied, 2, 1)]);
    assert_whole(store).await;
}

async fn a_cluster_made_anew_is_another(under: Under) {
    let store = &under.store;
    for (uid, state) in
        [("old", DeploymentState::Healthy), ("old", DeploymentState::Lost), ("new", DeploymentState::Requested)]
    {
        let fact = deployed(&ClusterRef::new("fleet", "eu-1", uid), "1.0.0", state);
        store.record(&web(), by("orbit-plane", Fact::Deployment(fact))).await.unwrap();
    }
    let all = store.deployments(&web()).await.unwrap();
    let all: Vec<_> = all.iter().map(|one| (one.cluster.uid.as_str(), one.state, one.attempt)).collect();
    assert_eq!(all, [("new", DeploymentState::Requested, 1), ("old", DeploymentState::Lost, 1)]);
    assert_whole(store).await;
}

/// Two that say different things of the same version at the same time: neither may take the other for itself.
async fn racing_states_of_a_deployment_are_all_recorded(under: Under) {
    let store = &under.store;
    let cluster = ClusterRef::new("fleet", "eu-1", "7b0c");
    let key = &web();
    let racers = DeploymentState::ALL.map(|state| {
        store.record(key, by("orbit-plane", Fact::Deployment(deployed(&cluster, "1.0.0", state)))).boxed_local()
    });
    for recorded in join_all(racers).await {
        assert!(matches!(recorded.unwrap(), Recorded::Appended(_)));
    }
    assert_eq!(store.head(key).await.unwrap().unwrap().seq, 8);
    assert_whole(store).await;
}

async fn racing_writers_leave_one_chain(under: Under) {
    let store = &under.store;
    // Eight writers of the same fact, and eight of one each.
    let key = &web();
    let same = (0..8).map(|_| store.record(key, stored("1.0.0", "same")).boxed_local());
    let versions: Vec<_> = (0..8).map(|n| format!("2.{n}.0")).collect();
    let each = versions.iter().map(|version| store.record(key, stored(version, version)).boxed_local());
    let recorded: Vec<_> = join_all(same.chain(each)).await.into_iter().map(Result::unwrap).collect();
    let appended = recorded.iter().filter(|recorded| matches!(recorded, Recorded::Appended(_))).count();
    assert_eq!(appended, 9, "{recorded:?}");
    let head = store.head(&web()).await.unwrap().unwrap();
    assert_eq!(head.seq, 9);
    let mut heads = Vec::new();
    for partition in 0..orbit_plane::chart_store::HEAD_PARTITIONS {
        heads.extend(store.heads(partition, None, 10).await.unwrap());
    }
    assert_eq!(heads, [head]);
    assert_whole(store).await;
}

/// A line that loses the answer to every transaction and sends it again, as a client does whose connection broke.
#[derive(Debug)]
struct LosesAnswers(Arc<dyn Table>);

#[async_trait::async_trait]
impl Table for LosesAnswers {
    async fn get(&self, key: &ItemKey) -> Result<Option<Item>, TableError> {
        self.0.get(key).await
    }

    async fn query(&self, range: &Range, limit: usize) -> Result<Vec<Item>, TableError> {
        self.0.query(range, limit).await
    }

    async fn transact(&self, writes: &[Write]) -> Result<(), TableError> {
        self.0.transact(writes).await.ok();
        self.0.transact(writes).await
    }

    async fn ping(&self) -> Result<(), TableError> {
        self.0.ping().await
    }
}

async fn a_writer_whose_answer_was_lost_knows_its_own_event(under: Under) {
    let deaf = ChartStore::on("orbit", Arc::new(LosesAnswers(under.table.clone()))).unwrap();
    let mut bell = deaf.subscribe();
    for (seq, entry) in [stored("1.0.0", "a"), selected("1.0.0"), selected("2.0.0")].into_iter().enumerate() {
        let recorded = deaf.record(&web(), entry.clone()).await.unwrap();
        assert!(matches!(&recorded, Recorded::Appended(event) if event.seq == seq as u64 + 1), "{recorded:?}");
        assert!(bell.has_changed().unwrap());
        bell.mark_unchanged();
        // Another call finds it recorded, through whichever line.
        for store in [&deaf, &under.store] {
            assert_eq!(store.record(&web(), entry.clone()).await.unwrap(), Recorded::Already);
        }
        assert!(!bell.has_changed().unwrap());
    }
    let stored = under.store.events(&web(), 0, 10).await.unwrap();
    assert_eq!(stored.len(), 3);
    assert_whole(&under.store).await;
}

async fn a_purged_version_leaves_a_tombstone(under: Under) {
    let store = &under.store;
    store.record(&web(), stored("1.0.0", "a")).await.unwrap();
    let purged = || Fact::Purged { version: "1.0.0".into(), release_digest: release("1.0.0", "a").digest };
    store.record(&web(), by("maria", purged())).await.unwrap();
    assert_eq!(store.record(&web(), by("maria", purged())).await.unwrap(), Recorded::Already);
    let record = store.release(&web(), "1.0.0").await.unwrap().unwrap();
    assert!(record.purged_at.is_some() && record.chart.is_none());
    let other = store.record(&web(), stored("1.0.0", "b")).await;
    assert!(matches!(other, Err(ChartStoreError::VersionPurged { .. })), "{other:?}");
    assert_whole(store).await;
}

async fn releases_are_found_by_digest_and_user_within_a_tenant(under: Under) {
    let store = &under.store;
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        store.record(&web(), stored(version, "same image")).await.unwrap();
    }
    store.record(&ApplicationKey::new("other", "web"), stored("1.0.0", "same image")).await.unwrap();
    let image = image("same image").digest;
    let first = store.releases_by_digest("shop", &image, None, 2).await.unwrap();
    let second = store.releases_by_digest("shop", &image, first.next.as_deref(), 2).await.unwrap();
    let found: Vec<_> = first.items.iter().chain(&second.items).map(|r| (r.key.clone(), r.version.as_str())).collect();
    assert_eq!(found, ["1.0.0", "1.1.0", "1.2.0"].map(|version| (web(), version)));
    assert_eq!(second.next, None);
    let mine = store.releases_by_user("shop", "maria", None, 10).await.unwrap();
    assert_eq!(mine.items.len(), 3);
    assert!(store.releases_by_user("elsewhere", "maria", None, 10).await.unwrap().items.is_empty());
}

async fn links_are_an_applications_own(under: Under) {
    let store = &under.store;
    let digests: Vec<_> = (0..120).map(|n| Digest::of(format!("blob {n}"))).collect();
    assert_eq!(store.link(&web(), &digests).await.unwrap(), 120);
    assert_eq!(store.link(&web(), &digests).await.unwrap(), 0);
    assert!(store.is_linked(&web(), &digests[7]).await.unwrap());
    assert!(!store.is_linked(&ApplicationKey::new("other", "web"), &digests[7]).await.unwrap());
    let first = store.links(&web(), None, 100).await.unwrap();
    let rest = store.links(&web(), first.next.as_deref(), 100).await.unwrap();
    assert_eq!((first.items.len(), rest.items.len(), rest.next), (100, 20, None));
    store.unlink(&web(), &digests).await.unwrap();
    assert!(store.links(&web(), None, 10).await.unwrap().items.is_empty());
}

fn session(id: &str) -> UploadSession {
    UploadSession {
        id: id.into(),
        key: web(),
        expected: Digest::of("0123456789"),
        size: 10,
        key_hash: Digest::of("key"),
        offset: 0,
        state: SessionState::Open,
        expires_at: Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap() + 1.hour(),
    }
}

fn chunk(id: &str, size: u64) -> StagedChunk {
    StagedChunk { id: id.into(), size }
}

async fn a_session_moves_forward_by_compare_and_set(under: Under) {
    let store = &under.store;
    let opened = store.open_session(&session("s")).await.unwrap();
    assert_eq!(opened, session_like(&opened));
    let racers = ["a", "b", "c", "d"].map(|id| store.advance_session("s", 0, chunk(id, 4)).boxed_local());
    let advanced: Vec<_> = join_all(racers).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(advanced.iter().filter(|advance| **advance == Advance::Advanced).count(), 1, "{advanced:?}");
    assert!(advanced.contains(&Advance::OffsetMoved { offset: 4 }));
    assert_eq!(store.session_chunks("s").await.unwrap().len(), 1);
    let incomplete = store.complete_session("s").await;
    assert!(
        matches!(incomplete, Err(ChartStoreError::SessionIncomplete { offset: 4, size: 10, .. })),
        "{incomplete:?}"
    );
    assert!(matches!(store.advance_session("s", 4, chunk("e", 7)).await, Err(ChartStoreError::TooLarge(_))));
    store.advance_session("s", 4, chunk("f", 6)).await.unwrap();
    store.complete_session("s").await.unwrap();
    let complete = store.open_session(&UploadSession { key_hash: Digest::of("late"), ..session("s") }).await.unwrap();
    assert_eq!((complete.state, complete.key_hash), (SessionState::Complete, Digest::of("key")));
    store.delete_session("s").await.unwrap();
    assert_eq!(store.session("s").await.unwrap(), None);
    assert!(matches!(store.session_chunks("s").await, Err(ChartStoreError::SessionUnknown { .. })));
}

/// A session as it was opened, whatever its expiry.
fn session_like(opened: &UploadSession) -> UploadSession {
    UploadSession { expires_at: opened.expires_at, ..session(&opened.id) }
}

async fn a_session_starts_over(under: Under) {
    let store = &under.store;
    store.open_session(&session("s")).await.unwrap();
    store.advance_session("s", 0, chunk("a", 4)).await.unwrap();
    store.reset_session("s").await.unwrap();
    assert_eq!(store.session("s").await.unwrap().unwrap().offset, 0);
    assert_eq!(store.session_chunks("s").await.unwrap(), []);
    store.advance_session("s", 0, chunk("b", 10)).await.unwrap();
    assert_eq!(store.session_chunks("s").await.unwrap(), [chunk("b", 10)]);
    let replaced = store.open_session(&UploadSession { key_hash: Digest::of("new"), ..session("s") }).await.unwrap();
    assert_eq!((replaced.key_hash, replaced.offset), (Digest::of("new"), 10));
    assert_eq!(store.expired_sessions(Timestamp::now(), 10).await.unwrap(), [""; 0]);
    assert_eq!(store.expired_sessions(Timestamp::now() + 2.hours(), 10).await.unwrap(), ["s"]);
}

fn asked(id: u64) -> (String, AnsweredRequest) {
    let at = Timestamp::from_second(1_767_323_045 + id as i64).unwrap();
    let request = AnsweredRequest {
        request: format!("request {id}"),
        address: Some("192.0.2.7".into()),
        method: "GET".into(),
        path: "/api/v1/namespaces/shop/audit".into(),
        namespace: Some("shop".into()),
        application: None,
        status: Some(403),
        stream: None,
        count: 2,
        first: at,
        last: at,
    };
    ("maria".to_owned(), request)
}

async fn requests_are_appended_in_order_and_once(under: Under) {
    let store = &under.store;
    let key = requests_of("shop");
    // More than one transaction takes.
    let many: Vec<_> = (0..190).map(asked).collect();
    let (recorded, result) = store.record_requests(&key, &many, false).await;
    result.unwrap();
    assert_eq!((recorded, store.head(&key).await.unwrap().unwrap().seq), (190, 190));
    // Whoever is not sure gives the last ones again.
    store.record_requests(&key, &many[160..], true).await.1.unwrap();
    assert_eq!(store.head(&key).await.unwrap().unwrap().seq, 190);
    // Others may have come behind them since, and are not taken for recorded.
    let late: Vec<_> = (160..195).map(asked).collect();
    store.record_requests(&key, &late, true).await.1.unwrap();
    assert_eq!(store.head(&key).await.unwrap().unwrap().seq, 195);
    // A line that loses its answers.
    let deaf = ChartStore::on("orbit", Arc::new(LosesAnswers(under.table.clone()))).unwrap();
    let more: Vec<_> = (195..300).map(asked).collect();
    let (recorded, result) = deaf.record_requests(&key, &more, false).await;
    result.unwrap();
    assert_eq!(recorded, 105);
    let events = store.events(&key, 0, 1000).await.unwrap();
    let ids: Vec<_> = events
        .iter()
        .map(|event| match &event.fact {
            Fact::Request(request) => request.request.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, (0..300).map(|id| format!("request {id}")).collect::<Vec<_>>());
    // They are no part of any application's history, and other namespaces' are others.
    store.record_requests(&requests_of(""), &[asked(0)], false).await.1.unwrap();
    assert_eq!(store.all_heads().await.unwrap().len(), 2);
    assert_whole(store).await;

    // One that somebody changed later is found, and which.
    let at = ItemKey::new("orbit/application/shop/_requests", "event/00000000000000000150");
    let item = under.table.get(&at).await.unwrap().unwrap();
    under.table.transact(&[Write::put(at.clone(), item.body.replace("maria", "jonas"), Condition::Any)]).await.unwrap();
    let head = store.head(&key).await.unwrap().unwrap();
    let verified = verify_journal(store, &head).await.unwrap();
    assert_eq!((verified.events, verified.findings[0].subject.as_str()), (300, "event 151 of shop/_requests"));
    under.table.transact(&[Write::delete(at, Condition::Any)]).await.unwrap();
    let verified = verify_journal(store, &head).await.unwrap();
    assert!(verified.findings[0].problem.contains("an event is missing"), "{verified:?}");
    let newest = ItemKey::new("orbit/application/shop/_requests", "event/00000000000000000300");
    under.table.transact(&[Write::delete(newest, Condition::Any)]).await.unwrap();
    let verified = verify_journal(store, &head).await.unwrap();
    assert!(verified.findings.iter().any(|one| one.problem == "ends at event 299 where its head says 300"));
}

fn changed(name: &str, uid: &str, generation: Option<i64>) -> Entry {
    let after = generation.map(|generation| Spec { generation, digest: Digest::of(generation.to_string()) });
    let change = SpecChange {
        kind: "ImageUpload".into(),
        name: name.into(),
        uid: uid.into(),
        application: Some("web".into()),
        environment: None,
        before: None,
        after,
    };
    by("maria", Fact::Changed(change))
}

async fn changes_of_specs_tell_what_was_before(under: Under) {
    let store = &under.store;
    let key = changes_of("shop");
    for (entry, is_news) in [
        (changed("web", "a", Some(1)), true),
        (changed("web", "a", Some(1)), false),
        // Another object with the same spec is another fact.
        (changed("api", "b", Some(1)), true),
        // Generations 2 to 4 were never seen.
        (changed("web", "a", Some(5)), true),
        // What a watch saw long ago.
        (changed("web", "a", Some(3)), false),
        (changed("web", "a", None), true),
        (changed("web", "a", None), false),
        (changed("web", "a", Some(6)), false),
        (changed("web", "c", Some(1)), true),
    ] {
        let recorded = store.record(&key, entry.clone()).await.unwrap();
        assert_eq!(matches!(recorded, Recorded::Appended(_)), is_news, "{entry:?}");
    }
    let generations: Vec<_> = store
        .events(&key, 0, 100)
        .await
        .unwrap()
        .into_iter()
        .map(|event| match event.fact {
            Fact::Changed(SpecChange { before, after, .. }) => {
                [before, after].map(|spec| spec.map(|spec| spec.generation))
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [[None, Some(1)], [None, Some(1)], [Some(1), Some(5)], [Some(5), None], [None, Some(1)]];
    assert_eq!(generations, expected);
    assert_whole(store).await;
    let at = ItemKey::new("orbit/application/shop/_changes", "spec/ImageUpload/web");
    under.table.transact(&[Write::delete(at, Condition::Any)]).await.unwrap();
    let findings = verify(store).await.unwrap();
    assert!(findings.iter().any(|one| one.problem == "is in the journal but not in the store"), "{findings:?}");
}

async fn tampering_is_found(under: Under) {
    let store = &under.store;
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        store.record(&web(), stored(version, version)).await.unwrap();
    }
    store.record(&web(), selected("1.2.0")).await.unwrap();
    let fact = deployed(&ClusterRef::new("fleet", "eu-1", "7b0c"), "1.2.0", DeploymentState::Requested);
    store.record(&web(), by("orbit-plane", Fact::Deployment(fact))).await.unwrap();
    assert_whole(store).await;
    for (sort, what) in [
        ("event/00000000000000000002", "an event is missing"),
        ("id/", "could be recorded again"),
        ("lane/selection/prod", "is not what the journal says"),
        ("release/1.1.0", "is in the journal but not in the store"),
        ("environment/prod", "is in the journal but not in the store"),
        ("deployment/prod", "is in the journal but not in the store"),
        ("lane/deployment/prod/fleet/eu-1/7b0c", "is not what the journal says"),
    ] {
        let found = under.table.query(&Range::new("orbit/application/shop/web", sort), 1).await.unwrap();
        let item = found.first().unwrap();
        under.table.transact(&[Write::delete(item.key.clone(), Condition::Any)]).await.unwrap();
        let findings = verify(store).await.unwrap();
        assert!(findings.iter().any(|finding| finding.problem.contains(what)), "{sort}: {findings:?}");
        under.table.transact(&[Write::put(item.key.clone(), item.body.clone(), Condition::Any)]).await.unwrap();
        assert_whole(store).await;
    }
    let at = ItemKey::new("orbit/application/shop/web", "event/00000000000000000002");
    let item = under.table.get(&at).await.unwrap().unwrap();
    let forged = item.body.replace("maria", "jonas");
    under.table.transact(&[Write::put(at, forged, Condition::Any)]).await.unwrap();
    let findings = verify(store).await.unwrap();
    assert!(findings.iter().any(|finding| finding.problem.contains("was changed")), "{findings:?}");
}
