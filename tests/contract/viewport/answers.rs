//! What can be asked.

use orbit_plane::{
    chart_store::{AnsweredRequest, Event, Fact, Spec, SpecChange, changes_of, requests_of},
    digest::Digest,
    release::{ApplicationKey, ClusterRef},
    viewport::{AuditEvent, AuditFilter, Clusters, Deployment, MatrixFilter, Page, PageRequest, Shown},
};
use pretty_assertions::assert_eq;

use super::{Under, story::*};

fn first() -> PageRequest {
    PageRequest::default()
}

pub async fn the_history_of_an_application(under: Under) {
    under.record(&web(), everything()).await;
    under.catch_up().await;
    let lifecycle = under.viewport.lifecycle(&web(), None, &first()).await.unwrap().unwrap();
    let of = |what: &str| format!("{}", Digest::of(what));

    let versions: Vec<_> = lifecycle.releases.iter().map(|release| release.version.as_str()).collect();
    assert_eq!(versions, ["1.6.0", "1.5.0", "1.4.0"]);
    let newest = &lifecycle.releases[0];
    assert!(newest.purged_at.is_some() && newest.chart.is_none(), "{newest:?}");
    let release = &lifecycle.releases[1];
    assert_eq!(release.environments, ["dev"]);
    let labels: Vec<_> = release.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(labels, [("team", "payments"), ("ticket", "ORB-7")]);
    assert_eq!(release.images[0].digest, of("index of web:1.5.0"));
    assert_eq!(release.images[0].platforms, "linux/amd64, linux/arm64");
    assert_eq!(release.chart, Some(of("chart 1.5.0")));
    assert_eq!(
        (release.owner.as_deref(), release.revision.as_deref()),
        (Some("team-checkout@shop.example"), Some("9f2c1e0"))
    );

    let now = |name: &str| lifecycle.environments.iter().find(|one| one.environment == name).unwrap().clone();
    // It came back, and what had been rendered there before still stands.
    assert_eq!(now("dev").version.as_deref(), Some("1.5.0"));
    assert_eq!(now("dev").rendered.unwrap().version.as_deref(), Some("1.5.0"));
    // Selected, and not rendered yet.
    assert_eq!((now("prod").version.as_deref(), now("prod").selected_by.as_deref()), (Some("1.4.0"), Some("jonas")));
    let rendered = now("prod").rendered.unwrap();
    assert_eq!((rendered.version.as_deref(), rendered.artifact), (Some("1.5.0"), of("artifact prod 1.5.0")));
    let images: Vec<_> = rendered.images.iter().map(|image| (image.digest.clone(), image.tracked)).collect();
    assert_eq!(images, [(Some(of("index of web:1.5.0")), true), (None, false)]);

    let journal = under.store.events(&web(), 0, 100).await.unwrap();
    let events: Vec<_> = lifecycle.events.items.iter().rev().collect();
    assert_eq!(events.len(), journal.len());
    for (event, recorded) in events.iter().zip(&journal) {
        assert_eq!(
            (event.seq as u64, &event.id, &event.hash),
            (recorded.seq, &recorded.id.to_string(), &recorded.hash().to_string())
        );
        assert_eq!(event.prev_hash, recorded.prev_hash.map(|hash| hash.to_string()));
        assert_eq!(
            (event.transition.as_str(), event.actor.as_str()),
            (recorded.fact.transition(), recorded.actor.as_str())
        );
        assert_eq!(event.digest, recorded.fact.digest().map(|digest| digest.to_string()));
        assert_eq!(event.time, format!("{:.3}", recorded.time));
    }

    let of_one = under.viewport.lifecycle(&web(), Some("1.4.0"), &first()).await.unwrap().unwrap();
    assert!(of_one.events.items.iter().all(|event| event.version.as_deref() == Some("1.4.0")));
    assert_eq!(of_one.releases.len(), 1);
    let elsewhere = ApplicationKey::new("other", "web");
    assert_eq!(under.viewport.lifecycle(&elsewhere, None, &first()).await.unwrap(), None);
}

pub async fn where_an_image_is(under: Under) {
    under.record(&web(), released("1.4.0", "same")).await;
    under.record(&web(), [("maria", stored("1.4.1", "same"))]).await;
    under.record(&ApplicationKey::new("shop", "api"), released("0.1.0", "same")).await;
    under.record(&ApplicationKey::new("other", "web"), released("1.4.0", "same")).await;
    under.catch_up().await;
    let index = image("same").digest;
    let platform = image("same").platforms[1].clone();
    // By whichever digest a person has: the image's, that of a platform's manifest, that of its config.
    for digest in [index, platform.manifest, platform.config] {
        let places = under.viewport.image_places("shop", &digest, &first()).await.unwrap();
        let found: Vec<_> =
            places.items.iter().map(|place| (place.application.as_str(), place.environment.as_str())).collect();
        assert_eq!(found, [("api", "dev"), ("api", "prod"), ("web", "dev"), ("web", "prod")], "{digest}");
        assert!(places.items.iter().all(|place| place.digest == index.to_string()));
        let holders = under.viewport.image_holders("shop", &digest, &first()).await.unwrap();
        let found: Vec<_> = holders.items.iter().map(|one| (one.application.as_str(), one.version.as_str())).collect();
        assert_eq!(found, [("api", "0.1.0"), ("web", "1.4.0"), ("web", "1.4.1")], "{digest}");
        assert_eq!(holders.items[1].metadata["team"], "checkout");
    }
    // It is where it runs now, not where it once was.
    under
        .record(&web(), [("x", stored("2.0.0", "new")), ("x", rendered("prod", "2.0.0", "new")), ("x", removed("dev"))])
        .await;
    under.catch_up().await;
    let places = under.viewport.image_places("shop", &index, &first()).await.unwrap();
    assert!(places.items.iter().all(|place| place.application == "api"), "{places:?}");
    let nowhere = under.viewport.image_places("elsewhere", &index, &first()).await.unwrap();
    assert_eq!(nowhere, Page { items: Vec::new(), next: None });
}

pub async fn what_is_in_an_environment(under: Under) {
    for application in ["web", "api", "jobs"] {
        under.record(&ApplicationKey::new("shop", application), released("1.0.0", application)).await;
    }
    under.record(&ApplicationKey::new("shop", "jobs"), [("maria", removed("prod"))]).await;
    under.record(&ApplicationKey::new("other", "web"), released("9.0.0", "theirs")).await;
    under.catch_up().await;
    let prod = under.viewport.environment("shop", "prod", &first()).await.unwrap();
    let found: Vec<_> = prod.items.iter().map(|one| (one.application.as_str(), one.version.as_deref())).collect();
    assert_eq!(found, [("api", Some("1.0.0")), ("web", Some("1.0.0"))]);
    assert_eq!(prod.items[1].metadata["team"], "checkout");
    let rendered = prod.items[1].rendered.as_ref().unwrap();
    assert_eq!(rendered.images[0].digest, Some(image("web").digest.to_string()));
    assert_eq!(under.viewport.environment("shop", "nowhere", &first()).await.unwrap().items, []);
}

pub async fn who_uploaded_what(under: Under) {
    under.record(&web(), everything()).await;
    under.record(&ApplicationKey::new("shop", "api"), [("jonas", stored("0.1.0", "api:0.1.0"))]).await;
    // Not the same user, although many a database would say so.
    under
        .record(
            &ApplicationKey::new("shop", "cron"),
            [("Maria", stored("1.0.0", "a")), ("maria ", stored("1.0.1", "b"))],
        )
        .await;
    under.catch_up().await;
    let uploads = under.viewport.uploads("shop", Some("maria"), &first()).await.unwrap();
    let found: Vec<_> = uploads.items.iter().map(|one| (one.version.as_str(), one.source.clone())).collect();
    let archive = format!("archive {}", Digest::of("web.archive"));
    assert_eq!(
        found,
        [
            ("1.6.0", archive),
            ("1.5.0", "registry.example/web:1.5.0".into()),
            ("1.4.0", "registry.example/web:1.4.0".into())
        ]
    );
    assert_eq!(uploads.items[1].metadata["ticket"], "ORB-7");
    assert!(uploads.items[2].deleted_at.is_some() && uploads.items[1].deleted_at.is_none());
    assert_eq!(under.viewport.uploads("shop", None, &first()).await.unwrap().items.len(), 6);
    assert_eq!(under.viewport.uploads("other", Some("maria"), &first()).await.unwrap().items, []);
}

pub async fn what_runs_in_which_cluster(under: Under) {
    under.record(&web(), everything()).await;
    under.record(&ApplicationKey::new("shop", "api"), rolled_out("dev", &cluster("eu-1"), "0.1.0", "web:1.4.0")).await;
    under
        .record(&ApplicationKey::new("other", "web"), rolled_out("prod", &cluster("eu-1"), "9.0.0", "web:1.4.0"))
        .await;
    under.catch_up().await;
    let viewport = &under.viewport;
    let said = |deployments: &[Deployment]| -> Vec<String> {
        let line = |one: &Deployment| {
            let Deployment { application, environment, cluster, attempt, state, .. } = one;
            let version = one.version.as_deref().unwrap_or("-");
            let stands = match (one.current, one.running) {
                (true, true) => "current, running",
                (true, false) => "current",
                (false, true) => "running",
                (false, false) => "past",
            };
            format!("{application} {environment} {} #{attempt} {version} {state} {stands}", cluster.name)
        };
        deployments.iter().map(line).collect()
    };

    let lifecycle = viewport.lifecycle(&web(), None, &first()).await.unwrap().unwrap();
    assert_eq!(
        said(&lifecycle.deployments),
        [
            "web prod eu-1 #3 1.4.0 healthy current, running",
            "web prod us-1 #2 1.5.0 lost current",
            "web prod us-2 #1 1.4.0 removed current",
        ]
    );
    let healthy = &lifecycle.deployments[0];
    assert_eq!(healthy.images, [image("web:1.4.0").digest.to_string()]);
    assert_eq!((healthy.detail.as_deref(), &healthy.cluster), (Some("healthy of it"), &cluster("eu-1")));
    assert_eq!((healthy.healthy_at.as_deref(), healthy.ended_at.as_deref()), (Some(healthy.since.as_str()), None));
    let of_one = viewport.lifecycle(&web(), Some("1.5.0"), &first()).await.unwrap().unwrap();
    assert_eq!(said(&of_one.deployments), ["web prod us-1 #2 1.5.0 lost current"]);

    // By any of the image's digests: where it runs, and where it ever did.
    let platform = image("web:1.4.0").platforms[1].clone();
    for digest in [image("web:1.4.0").digest, platform.manifest, platform.config] {
        let now = viewport.image_deployments("shop", &digest, false, &first()).await.unwrap();
        assert_eq!(
            said(&now.items),
            ["api dev eu-1 #1 0.1.0 healthy current, running", "web prod eu-1 #3 1.4.0 healthy current, running"]
        );
        let ever = viewport.image_deployments("shop", &digest, true, &first()).await.unwrap();
        assert_eq!(
            said(&ever.items),
            [
                "api dev eu-1 #1 0.1.0 healthy current, running",
                "web prod eu-1 #1 1.4.0 healthy past",
                "web prod eu-1 #3 1.4.0 healthy current, running",
                "web prod us-1 #1 1.4.0 healthy past",
                "web prod us-2 #1 1.4.0 removed current",
            ]
        );
    }
    let failed = viewport.image_deployments("shop", &image("web:1.5.0").digest, true, &first()).await.unwrap();
    assert_eq!(said(&failed.items), ["web prod eu-1 #2 1.5.0 rolledBack past", "web prod us-1 #2 1.5.0 lost current"]);
    let times = &failed.items[0];
    assert!(
        [&times.requested_at, &times.applied_at, &times.degraded_at, &times.failed_at, &times.ended_at]
            .iter()
            .all(|time| time.is_some())
    );

    // What runs where, and what ran in a cluster that is gone.
    let clusters = async |clusters: Clusters, ever: bool| {
        said(&viewport.cluster_deployments("shop", &clusters, ever, &first()).await.unwrap().items)
    };
    let everywhere = clusters(Clusters::default(), false).await;
    assert_eq!(
        everywhere,
        ["api dev eu-1 #1 0.1.0 healthy current, running", "web prod eu-1 #3 1.4.0 healthy current, running"]
    );
    let gone = ["web prod us-1 #1 1.4.0 healthy past", "web prod us-1 #2 1.5.0 lost current"];
    let by_name = Clusters { name: Some(("fleet".into(), "us-1".into())), uid: None };
    let by_uid = Clusters { name: None, uid: Some("uid of us-1".into()) };
    for by in [by_name, by_uid] {
        assert_eq!(clusters(by.clone(), true).await, gone);
        assert_eq!(clusters(by, false).await, [""; 0]);
    }
    // Another cluster that has the name now.
    let anew = ClusterRef::new("fleet", "us-1", "another uid");
    under.record(&web(), rolled_out("prod", &anew, "1.5.0", "web:1.5.0")).await;
    under.catch_up().await;
    let named =
        |uid: Option<&str>| Clusters { name: Some(("fleet".into(), "us-1".into())), uid: uid.map(str::to_owned) };
    assert_eq!(clusters(named(None), false).await, ["web prod us-1 #1 1.5.0 healthy current, running"]);
    assert_eq!(clusters(named(Some("uid of us-1")), true).await, gone);
    assert_eq!(clusters(named(None), true).await.len(), 3);
    under.assert_faithful().await;
}

/// Every item of a list, page after page.
async fn all<T>(limit: u32, mut fetch: impl AsyncFnMut(PageRequest) -> Page<T>) -> Vec<T> {
    let mut items = Vec::new();
    let mut request = PageRequest { limit, after: None };
    loop {
        let page = fetch(request.clone()).await;
        assert!(page.items.len() <= limit as usize);
        items.extend(page.items);
        match page.next {
            Some(next) => request.after = Some(next),
            None => return items,
        }
    }
}

pub async fn which_version_is_where(under: Under) {
    under.record(&web(), everything()).await;
    for application in ["api", "100%", "we_b", "worker"] {
        under.record(&ApplicationKey::new("shop", application), [("maria", stored("0.1.0", "x"))]).await;
    }
    under.record(&ApplicationKey::new("other", "web"), released("9.0.0", "theirs")).await;
    under.catch_up().await;
    let of = |search: Option<&str>, environment: Option<&str>| MatrixFilter {
        search: search.map(str::to_owned),
        environment: environment.map(str::to_owned),
    };
    let matrix = under.viewport.matrix("shop", &of(Some("web"), None), &first()).await.unwrap();
    let [web] = &matrix.items[..] else { panic!("{matrix:?}") };
    assert_eq!((web.latest.as_deref(), web.owner.as_deref()), (Some("1.6.0"), None), "its owner was never said");
    let said: Vec<String> = web
        .environments
        .iter()
        .map(|one| {
            let place = |at: &orbit_plane::viewport::Standing| {
                format!("{} {} {}", at.cluster.name, at.version.as_deref().unwrap_or("-"), at.state)
            };
            let places: Vec<_> = one.clusters.iter().map(place).collect();
            format!("{} {}: {}", one.environment, one.version.as_deref().unwrap_or("-"), places.join(", "))
        })
        .collect();
    // What was cleaned up is nowhere any more; a lost cluster may come back.
    assert_eq!(said, ["dev 1.5.0: ", "prod 1.4.0: eu-1 1.4.0 healthy, us-1 1.5.0 lost"]);

    let names = async |search: Option<&str>| {
        let found = under.viewport.matrix("shop", &of(search, None), &first()).await.unwrap();
        found.items.into_iter().map(|one| one.application).collect::<Vec<_>>()
    };
    assert_eq!(names(None).await, ["100%", "api", "we_b", "web", "worker"]);
    for (search, expected) in [
        ("W", vec!["we_b", "web", "worker"]),
        ("e_b", vec!["we_b"]),
        ("0%", vec!["100%"]),
        ("%b", vec![]),
        ("!", vec![]),
    ] {
        assert_eq!(names(Some(search)).await, expected, "{search}");
    }
    // A page is of applications, however many places each has.
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = under.viewport.matrix("shop", &of(None, None), &PageRequest { limit: 2, after }).await.unwrap();
        assert!(page.items.len() <= 2);
        all.extend(page.items.into_iter().map(|one| one.application));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(all, ["100%", "api", "we_b", "web", "worker"]);
    assert_eq!(under.viewport.matrix("nowhere", &of(None, None), &first()).await.unwrap().items, []);
    // Of an environment: who is in it, and nothing else of them.
    let prod = under.viewport.matrix("shop", &of(Some("w"), Some("prod")), &first()).await.unwrap();
    let [web] = &prod.items[..] else { panic!("{prod:?}") };
    let environments: Vec<_> = web.environments.iter().map(|one| one.environment.as_str()).collect();
    assert_eq!((web.application.as_str(), environments), ("web", vec!["prod"]));
    assert_eq!(under.viewport.matrix("shop", &of(None, Some("moon")), &first()).await.unwrap().items, []);
}

pub async fn who_did_what(under: Under) {
    under.record(&web(), everything()).await;
    under.record(&ApplicationKey::new("shop", "api"), released("0.1.0", "api")).await;
    under.record(&ApplicationKey::new("other", "web"), released("9.0.0", "theirs")).await;
    under.catch_up().await;
    let of = |application: Option<&str>, actor: Option<&str>, kind: Option<&str>| {
        let [application, actor, kind] = [application, actor, kind].map(|text| text.map(str::to_owned));
        AuditFilter { application, actor, kind, requests: Shown::No }
    };
    let all = async |filter: &AuditFilter| {
        let (mut events, mut after) = (Vec::new(), None);
        loop {
            let page = under.viewport.audit("shop", filter, &PageRequest { limit: 3, after }).await.unwrap();
            events.extend(page.items);
            after = page.next;
            if after.is_none() {
                break events;
            }
        }
    };
    let events = all(&AuditFilter::default()).await;
    let journal = [everything(), released("0.1.0", "api")].map(|facts| facts.len());
    assert_eq!(events.len(), journal.iter().sum::<usize>());
    assert!(events.is_sorted_by(|a, b| a.at >= b.at), "the newest first");
    let of_web = all(&of(Some("web"), None, None)).await;
    let recorded = under.store.events(&web(), 0, 100).await.unwrap();
    assert_eq!(of_web.len(), recorded.len());
    for (event, recorded) in of_web.iter().rev().zip(&recorded) {
        assert_eq!((event.seq as u64, &event.hash), (recorded.seq, &recorded.hash().to_string()));
        assert_eq!(event.prev_hash, recorded.prev_hash.map(|hash| hash.to_string()));
        assert_eq!((event.kind.as_str(), &event.actor), (recorded.fact.transition(), &recorded.actor));
    }
    for (filter, count) in [
        (of(None, Some("jonas"), None), 5),
        (of(None, Some("Jonas"), None), 0),
        (of(None, None, Some("charted")), 3),
        (of(Some("web"), Some("maria"), Some("stored")), 3),
        (of(Some("none"), None, None), 0),
    ] {
        let found = all(&filter).await;
        assert_eq!(found.len(), count, "{filter:?}");
        assert!(filter.actor.is_none_or(|actor| found.iter().all(|event| event.actor == actor)));
    }
}

fn asked(who: &str, second: i64, namespace: &str, status: u16) -> (String, AnsweredRequest) {
    let at = jiff::Timestamp::from_second(1_767_323_045 + second).unwrap();
    let request = AnsweredRequest {
        request: format!("{who}-{second}"),
        address: Some("192.0.2.7".into()),
        method: "GET".into(),
        path: format!("/api/v1/namespaces/{namespace}/applications/web/lifecycle"),
        namespace: Some(namespace.into()),
        application: Some("web".into()),
        status: Some(status),
        stream: None,
        count: 3,
        first: at,
        last: at,
    };
    (who.to_owned(), request)
}

fn changed(kind: &str, application: Option<&str>, generation: Option<i64>) -> Fact {
    let after = generation.map(|generation| Spec { generation, digest: Digest::of(generation.to_string()) });
    Fact::Changed(SpecChange {
        kind: kind.into(),
        name: "web".into(),
        uid: "u".into(),
        application: application.map(str::to_owned),
        environment: None,
        before: None,
        after,
    })
}

pub async fn who_asked_for_what_and_changed_which_spec(under: Under) {
    under.record(&web(), [("maria", stored("1.0.0", "a"))]).await;
    let upload = |generation| ("maria", changed("ImageUpload", Some("web"), generation));
    let cluster = ("jonas", changed("EphemeralCluster", None, Some(1)));
    under.record(&changes_of("shop"), [upload(Some(1)), upload(Some(4)), cluster, upload(None)]).await;
    let requests: Vec<_> = (0..5).map(|n| asked(if n % 2 == 0 { "maria" } else { "" }, n, "shop", 200)).collect();
    under.store.record_requests(&requests_of("shop"), &requests, false).await.1.unwrap();
    under.store.record_requests(&requests_of(""), &[asked("", 9, "nowhere", 401)], false).await.1.unwrap();
    under.catch_up().await;
    under.assert_faithful().await;

    let of = |application: Option<&str>, actor: Option<&str>, kind: Option<&str>, requests| {
        let [application, actor, kind] = [application, actor, kind].map(|text| text.map(str::to_owned));
        AuditFilter { application, actor, kind, requests }
    };
    let all = async |namespace: &str, filter: &AuditFilter| {
        let (mut events, mut after) = (Vec::<AuditEvent>::new(), None);
        loop {
            let page = under.viewport.audit(namespace, filter, &PageRequest { limit: 2, after }).await.unwrap();
            events.extend(page.items);
            after = page.next;
            if after.is_none() {
                break events;
            }
        }
    };
    for (filter, count) in [
        (AuditFilter::default(), 5),
        (of(None, None, None, Shown::Yes), 10),
        (of(None, None, Some("request"), Shown::No), 5),
        (of(None, None, Some("changed"), Shown::Yes), 4),
        (of(None, Some("maria"), None, Shown::Yes), 7),
        (of(None, Some(""), None, Shown::Yes), 2),
        (of(Some("web"), None, None, Shown::No), 4),
        (of(Some("web"), None, None, Shown::Yes), 9),
    ] {
        let found = all("shop", &filter).await;
        assert_eq!(found.len(), count, "{filter:?}");
        assert!(found.is_sorted_by(|a, b| a.at >= b.at), "{filter:?}: the newest first");
    }
    // What is read from the tables is what the journals' own events say.
    let mut expected: Vec<AuditEvent> = Vec::new();
    for key in [web(), changes_of("shop"), requests_of("shop")] {
        expected.extend(under.store.events(&key, 0, 100).await.unwrap().iter().map(AuditEvent::of));
    }
    let mut found = all("shop", &of(None, None, None, Shown::Yes)).await;
    let place = |event: &AuditEvent| (event.journal.clone(), event.seq);
    expected.sort_by_key(place);
    found.sort_by_key(place);
    assert_eq!(found, expected);
    let second = &found[1];
    assert_eq!(
        (second.detail.as_deref(), second.digest_before.as_deref(), second.digest.as_deref()),
        (
            Some("ImageUpload/web: generation 1 to 4"),
            Some(Digest::of("1").to_string().as_str()),
            Some(Digest::of("4").to_string().as_str())
        )
    );
    // Those of no namespace are nobody's who may see one; and none of it is an application.
    let of_none = all("", &of(None, None, None, Shown::Yes)).await;
    assert_eq!((of_none.len(), of_none[0].namespace.as_deref()), (1, Some("nowhere")));
    assert_eq!(all("nowhere", &of(None, None, None, Shown::Yes)).await, []);
    let matrix = under.viewport.matrix("shop", &MatrixFilter::default(), &first()).await.unwrap();
    assert_eq!(matrix.items.into_iter().map(|one| one.application).collect::<Vec<_>>(), ["web"]);
    assert_eq!(under.viewport.matrix("", &MatrixFilter::default(), &first()).await.unwrap().items, []);
    // A page is as long as it is asked to be, whatever it is of.
    let (every, four) = (of(None, None, None, Shown::Yes), PageRequest { limit: 4, after: None });
    assert_eq!(under.viewport.audit("shop", &every, &four).await.unwrap().items.len(), 4);
    let journal: Vec<Event> = under.store.events(&requests_of("shop"), 0, 100).await.unwrap();
    assert_eq!(journal.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

pub async fn pages_are_the_whole_list(under: Under) {
    for application in ["a", "b", "c", "d", "e"] {
        let key = ApplicationKey::new("shop", application);
        under.record(&key, released("1.0.0", "same")).await;
        under.record(&key, [("maria", stored("1.0.1", "same"))]).await;
        under.record(&key, rolled_out("dev", &cluster("eu-1"), "1.0.0", "same")).await;
        under.record(&key, rolled_out("dev", &cluster("eu-1"), "1.0.1", "same")).await;
        under.record(&key, rolled_out("prod", &cluster("us-1"), "1.0.0", "same")).await;
    }
    under.catch_up().await;
    let viewport = &under.viewport;
    let digest = image("same").digest;
    let key = ApplicationKey::new("shop", "a");
    let lists = async |limit| {
        let lifecycle = async |page: PageRequest| viewport.lifecycle(&key, None, &page).await.unwrap().unwrap().events;
        (
            all(limit, lifecycle).await,
            all(limit, async |page| viewport.image_places("shop", &digest, &page).await.unwrap()).await,
            all(limit, async |page| viewport.image_holders("shop", &digest, &page).await.unwrap()).await,
            all(limit, async |page| viewport.environment("shop", "prod", &page).await.unwrap()).await,
            all(limit, async |page| viewport.uploads("shop", None, &page).await.unwrap()).await,
            all(limit, async |page| viewport.image_deployments("shop", &digest, true, &page).await.unwrap()).await,
            all(limit, async |page| {
                viewport.cluster_deployments("shop", &Clusters::default(), true, &page).await.unwrap()
            })
            .await,
        )
    };
    let whole = lists(200).await;
    assert_eq!((whole.0.len(), whole.1.len(), whole.2.len(), whole.3.len(), whole.4.len()), (17, 10, 10, 5, 10));
    assert_eq!((whole.5.len(), whole.6.len()), (15, 15));
    for limit in [1, 2, 3, 5] {
        assert_eq!(lists(limit).await, whole);
    }
}
