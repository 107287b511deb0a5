//! The Viewport is what the journals say, whatever happens.

use std::{collections::BTreeMap, time::Duration};

use futures::{FutureExt, future::join_all};
use orbit_plane::{
    chart_store::{DeploymentState, Event, Fact},
    digest::Digest,
    release::{ApplicationKey, ClusterRef},
    settings::StoreSettings,
    viewport::{self, Cursor, PageRequest, Projector, Step, ViewportError},
};
use pretty_assertions::assert_eq;
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Under, story::*};

fn at(event: &Event) -> Option<Cursor> {
    Some(Cursor { seq: event.seq, hash: event.hash() })
}

pub async fn events_are_projected_once_and_in_order(under: Under) {
    under.record(&web(), everything()).await;
    let events = under.store.events(&web(), 0, 100).await.unwrap();
    let viewport = &under.viewport;
    let end = viewport.apply(&web(), None, &events[..5]).await.unwrap();
    assert_eq!(end, at(&events[4]));
    let before = viewport.dump().await.unwrap();
    // What is there already is skipped.
    assert_eq!(viewport.apply(&web(), end, &events[..3]).await.unwrap(), end);
    assert_eq!(viewport.apply(&web(), end, &[]).await.unwrap(), end);
    // Somebody who does not know that it moved on.
    for stale in [None, at(&events[2])] {
        let error = viewport.apply(&web(), stale, &events[stale.map_or(0, |at| at.seq as usize)..]).await.unwrap_err();
        assert!(matches!(error, ViewportError::CursorMoved { .. }), "{error}");
    }
    let gap = viewport.apply(&web(), end, &events[6..]).await.unwrap_err();
    assert!(matches!(gap, ViewportError::Gap { after: 5, found: 7, .. }), "{gap}");
    let mut forged = events[5..].to_vec();
    forged[0].prev_hash = Some(Digest::of("another history"));
    let broken = viewport.apply(&web(), end, &forged).await.unwrap_err();
    assert!(matches!(broken, ViewportError::BrokenChain { seq: 6, .. }), "{broken}");
    let mut forged = events[5..].to_vec();
    forged[1].actor = "somebody else".into();
    let broken = viewport.apply(&web(), end, &forged).await.unwrap_err();
    assert!(matches!(broken, ViewportError::BrokenChain { seq: 8, .. }), "{broken}");
    let foreign = viewport.apply(&ApplicationKey::new("other", "web"), None, &events).await.unwrap_err();
    assert!(matches!(foreign, ViewportError::Gap { .. }), "{foreign}");
    assert_eq!(viewport.dump().await.unwrap(), before);
    // With some that are there already, as a projector has them whose cursor is older than its events.
    assert_eq!(viewport.apply(&web(), end, &events[2..]).await.unwrap(), at(events.last().unwrap()));
    under.assert_faithful().await;
}

pub async fn what_the_database_refuses_leaves_nothing(under: Under) {
    under.record(&web(), [("maria", stored("1.0.0", "a"))]).await;
    let mut events = under.store.events(&web(), 0, 10).await.unwrap();
    // A journal could not say this twice; the second is refused in the middle of its transaction.
    let mut twice = events[0].clone();
    (twice.seq, twice.prev_hash, twice.id) = (2, Some(events[0].hash()), Digest::of("another id"));
    events.push(twice);
    let refused = under.viewport.apply(&web(), None, &events).await.unwrap_err();
    assert!(matches!(&refused, ViewportError::Refused { key, .. } if *key == web()), "{refused}");
    assert_eq!(under.viewport.dump().await.unwrap(), [""; 0]);
    under.catch_up().await;
    under.assert_faithful().await;
}

pub async fn several_applications_move_on_together_or_not_at_all(under: Under) {
    let keys = ["a", "b"].map(|application| ApplicationKey::new("shop", application));
    let mut journals = Vec::new();
    for key in &keys {
        under.record(key, released("1.0.0", &key.application)).await;
        journals.push(under.store.events(key, 0, 100).await.unwrap());
    }
    let viewport = &under.viewport;
    let step = |at: [Option<Cursor>; 2]| {
        let steps = keys.iter().zip(at).zip(&journals);
        steps.map(|((key, at), events)| Step { key, at, events }).collect::<Vec<_>>()
    };
    let ends: Vec<_> = journals.iter().map(|events| at(events.last().unwrap())).collect();
    // Somebody else has moved one of them on.
    viewport.apply(&keys[1], None, &journals[1][..1]).await.unwrap();
    let before = viewport.dump().await.unwrap();
    let moved = viewport.apply_all(&step([None, None])).await.unwrap_err();
    assert!(matches!(&moved, ViewportError::CursorMoved { key } if *key == keys[1]), "{moved}");
    assert_eq!(viewport.dump().await.unwrap(), before);
    assert_eq!(viewport.apply_all(&step([None, at(&journals[1][0])])).await.unwrap(), ends);
    assert_eq!(viewport.apply_all(&step([ends[0], ends[1]])).await.unwrap(), ends, "nothing is left to be done");
    under.assert_faithful().await;
}

pub async fn one_application_holds_up_no_other(under: Under) {
    for application in ["a", "b", "c", "d"] {
        under.record(&ApplicationKey::new("shop", application), released("1.0.0", application)).await;
    }
    under.catch_up().await;
    // It is somewhere where its journal never was.
    under.tamper(&["UPDATE cursors SET hash = 'sha256:0000000000000000000000000000000000000000000000000000000000000000' WHERE application = 'b'"]).await;
    for application in ["a", "b", "c", "d"] {
        under.record(&ApplicationKey::new("shop", application), [("maria", stored("2.0.0", "new"))]).await;
    }
    let mut projector = under.projector();
    projector.catch_up().await.unwrap();
    let status = projector.status().borrow().clone();
    let held: Vec<_> = status.held.keys().map(|key| key.application.as_str()).collect();
    assert_eq!((held, status.journals, status.events_behind), (vec!["b"], 4, Some(1)));
    let uploads = under.viewport.uploads("shop", Some("maria"), &PageRequest::default()).await.unwrap();
    assert_eq!(uploads.items.iter().filter(|upload| upload.version == "2.0.0").count(), 3);
    let findings = viewport::verify(&under.store, &under.viewport, Duration::ZERO).await.unwrap();
    assert!(!findings.is_empty() && findings.iter().all(|finding| finding.subject.contains("shop/b")), "{findings:?}");
    under.viewport.reset().await.unwrap();
    projector.catch_up().await.unwrap();
    // What it remembered of that one was from before the reset, and it has found out.
    assert_eq!(projector.status().borrow().held, BTreeMap::new());
    under.catch_up().await;
    under.assert_faithful().await;
}

pub async fn an_interrupted_pass_leaves_neither_gap_nor_duplicate(under: Under) {
    for application in ["web", "api"] {
        under.record(&ApplicationKey::new("shop", application), everything()).await;
    }
    under.viewport.ping().await.unwrap();
    // Ever longer passes, until one is let through to its end: each is dropped in the middle of something else.
    let mut micros = 100;
    while timeout(Duration::from_micros(micros), under.projector().catch_up()).await.is_err() {
        micros += micros / 5;
    }
    under.assert_faithful().await;
}

pub async fn racing_projectors_leave_one_history(under: Under) {
    for application in ["a", "b", "c"] {
        under.record(&ApplicationKey::new("shop", application), everything()).await;
    }
    let race = async || {
        let mut projectors: Vec<_> = (0..4).map(|_| Projector::new(under.store.clone(), under.another())).collect();
        let passes = projectors.iter_mut().map(|projector| projector.catch_up().boxed_local());
        for result in join_all(passes).await {
            result.unwrap();
        }
        for projector in &projectors {
            let status = projector.status().borrow().clone();
            assert_eq!((status.held, status.events_behind), (BTreeMap::new(), Some(0)));
        }
    };
    race().await;
    under.assert_faithful().await;
    under.record(&web(), everything()).await;
    race().await;
    under.assert_faithful().await;
}

pub async fn a_rebuilt_viewport_equals_the_old_one(under: Under) {
    for application in ["web", "api"] {
        let key = ApplicationKey::new("shop", application);
        // Bit by bit, as it happens.
        for fact in everything() {
            under.record(&key, [fact]).await;
            under.catch_up().await;
        }
    }
    let old = under.viewport.dump().await.unwrap();
    assert!(old.len() > 100, "{}", old.len());
    under.viewport.reset().await.unwrap();
    assert_eq!(under.viewport.dump().await.unwrap(), [""; 0]);
    under.catch_up().await;
    assert_eq!(under.viewport.dump().await.unwrap(), old);
    // In whichever database it is.
    let elsewhere = tempfile::tempdir().unwrap();
    let settings = StoreSettings { data_dir: Some(elsewhere.path().to_owned()), ..StoreSettings::default() };
    let embedded = viewport::open(&settings).unwrap();
    Projector::new(under.store.clone(), embedded.clone()).catch_up().await.unwrap();
    assert_eq!(embedded.dump().await.unwrap(), old);
}

pub async fn rebuilding_while_others_project_leaves_one_history(under: Under) {
    for application in ["a", "b", "c", "d"] {
        under.record(&ApplicationKey::new("shop", application), everything()).await;
    }
    let may_be_tried_again = |result: Result<(), String>, transient: bool| {
        assert!(result.is_ok() || transient, "{result:?}");
    };
    let rebuild = async || {
        for _ in 0..10 {
            let reset = under.another().reset().await;
            let transient = reset.as_ref().is_err_and(ViewportError::is_transient);
            may_be_tried_again(reset.map_err(|error| error.to_string()), transient);
        }
    };
    let project = async || {
        for _ in 0..20 {
            let pass = Projector::new(under.store.clone(), under.another()).catch_up().await;
            let transient = matches!(&pass, Err(viewport::ProjectorError::Viewport(error)) if error.is_transient());
            may_be_tried_again(pass.map_err(|error| error.to_string()), transient);
        }
    };
    tokio::join!(rebuild(), project(), project());
    // Without another reset: what a race had spoiled would stay.
    under.catch_up().await;
    under.assert_faithful().await;
}

pub async fn texts_longer_than_their_columns_are_cut(under: Under) {
    let long = "ö".repeat(3000);
    let Fact::Stored { mut release } = stored("1.0.0", "a") else { unreachable!() };
    for source in release.sources.values_mut() {
        source.reference.as_mut().unwrap().image = long.clone();
    }
    let Fact::Described { mut description, .. } = described("1.0.0", &["dev"], &[(&long, &long)]) else {
        unreachable!()
    };
    description.owner = Some(long.clone());
    let origin = description.origin.as_mut().unwrap();
    (origin.revision, origin.url) = (long.clone(), Some(long.clone()));
    let Fact::Charted { mut chart, .. } = charted("1.0.0") else { unreachable!() };
    chart.unrestricted = Some(long.clone());
    let Fact::Rendered { images, .. } = rendered("dev", "1.0.0", "a") else { unreachable!() };
    let mut images = images;
    images[0].reference = long.clone();
    let mut render = rendered("dev", "1.0.0", "a");
    if let Fact::Rendered { images: own, .. } = &mut render {
        *own = images;
    }
    let Fact::Deployment(mut deployment) = deployed("dev", &cluster("eu-1"), "1.0.0", "a", DeploymentState::Requested)
    else {
        unreachable!()
    };
    deployment.detail = Some(long.clone());
    deployment.cluster = ClusterRef::new("n".repeat(70), "c".repeat(70), "u".repeat(70));
    let unknown: Fact =
        serde_json::from_value(json!({"transition": "ö".repeat(400), "version": long, "environment": long})).unwrap();
    let actor: &'static str = Box::leak(long.clone().into_boxed_str());
    let facts = [
        Fact::Stored { release },
        Fact::Described { version: "1.0.0".into(), description },
        Fact::Charted { version: "1.0.0".into(), chart },
        render,
        Fact::Deployment(deployment),
        unknown,
    ];
    under.record(&web(), facts.map(|fact| (actor, fact))).await;
    under.catch_up().await;
    under.assert_faithful().await;
    let uploads = under.viewport.uploads("shop", Some(&long), &PageRequest::default()).await.unwrap();
    assert_eq!((uploads.items.len(), uploads.items[0].source.chars().count()), (1, 1024));
}

pub async fn what_a_newer_program_records_is_kept(under: Under) {
    let promoted =
        json!({"transition": "promoted", "version": "1.4.0", "environment": "prod", "gate": {"soak": "10m"}});
    under.record(&web(), released("1.4.0", "a")).await;
    under.record(&web(), [("maria", serde_json::from_value(promoted).unwrap())]).await;
    under.record(&web(), [("maria", removed("prod"))]).await;
    under.catch_up().await;
    let lifecycle = under.viewport.lifecycle(&web(), Some("1.4.0"), &PageRequest::default()).await.unwrap().unwrap();
    let event = &lifecycle.events.items[0];
    assert_eq!((event.transition.as_str(), event.environment.as_deref(), event.seq), ("promoted", Some("prod"), 8));
    under.assert_faithful().await;
}

pub async fn an_older_projection_is_made_anew_and_a_newer_one_left_alone(under: Under) {
    under.record(&web(), everything()).await;
    under.catch_up().await;
    let whole = under.viewport.dump().await.unwrap();
    let mut running = under.projector();
    running.catch_up().await.unwrap();
    under.tamper(&["UPDATE planes SET projection = 0", "DELETE FROM uploads"]).await;
    under.catch_up().await;
    assert_eq!(under.viewport.dump().await.unwrap(), whole);
    under.tamper(&["UPDATE planes SET projection = 1000000"]).await;
    let error = under.projector().catch_up().await.unwrap_err().to_string();
    assert!(error.contains("newer orbit"), "{error}");
    let error = under.viewport.reset().await.unwrap_err();
    assert!(matches!(error, ViewportError::NewerProjection { .. }), "{error}");
    // One that runs while a newer program takes over stops at its next write.
    under.record(&web(), [("maria", stored("7.0.0", "b"))]).await;
    let error = running.catch_up().await.unwrap_err().to_string();
    assert!(error.contains("newer orbit"), "{error}");
    assert_eq!(under.viewport.dump().await.unwrap(), whole);
}

pub async fn an_older_schema_is_brought_up_to_date(under: Under) {
    under.record(&web(), everything()).await;
    under.catch_up().await;
    let whole = under.viewport.dump().await.unwrap();
    // As it was when nothing wrote deployments yet.
    let before = match under.settings.mysql_url {
        Some(_) => include_str!("../../../migrations/viewport/mysql/0014_deployments.sql"),
        None => include_str!("../../../migrations/viewport/sqlite/0014_deployments.sql"),
    };
    let later = ["requests", "deployment_images", "milestones", "arrivals", "health", "deployments"];
    let drops = later.map(|table| format!("DROP TABLE {table}"));
    let undo: Vec<&str> = drops.iter().map(String::as_str).chain([before]).collect();
    under.tamper(&undo).await;
    under.tamper(&["DELETE FROM _sqlx_migrations WHERE version > 15", "UPDATE planes SET projection = 2"]).await;
    let newer = under.another();
    Projector::new(under.store.clone(), newer.clone()).catch_up().await.unwrap();
    assert_eq!(newer.dump().await.unwrap(), whole);
}

pub async fn tampering_is_found(under: Under) {
    under.record(&web(), everything()).await;
    under.catch_up().await;
    under.assert_faithful().await;
    for (statement, problem) in [
        ("UPDATE releases SET owner = 'jonas' WHERE version = '1.5.0'", "in releases"),
        ("DELETE FROM overlay_images WHERE position = 1", "in overlay_images"),
        ("DELETE FROM events WHERE seq = 3", "in events"),
        ("UPDATE deployments SET state = 'healthy' WHERE state = 'rolledBack'", "in deployments"),
        ("DELETE FROM deployment_images WHERE attempt = 3", "in deployment_images"),
        ("DELETE FROM milestones WHERE state = 'failed'", "in milestones"),
        ("UPDATE arrivals SET healthy_at = '2026' WHERE version = '1.4.0'", "in arrivals"),
        ("DELETE FROM health WHERE state = 'degraded'", "in health"),
        ("INSERT INTO release_environments VALUES ('shop', 'web', '1.4.0', 'moon')", "in release_environments"),
        ("INSERT INTO applications VALUES ('shop', 'ghost', NULL, NULL, NULL)", "is of no journal"),
        ("UPDATE cursors SET seq = 4", "is at event 4"),
        ("UPDATE cursors SET seq = 400", "is at event 400"),
        ("DELETE FROM cursors", "is at event 0"),
    ] {
        under.tamper(&[statement]).await;
        let findings = viewport::verify(&under.store, &under.viewport, Duration::ZERO).await.unwrap();
        assert!(findings.iter().any(|finding| finding.problem.contains(problem)), "{statement}: {findings:?}");
        under.viewport.reset().await.unwrap();
        under.catch_up().await;
        under.assert_faithful().await;
    }
}

pub async fn what_is_a_moment_behind_is_waited_for(under: Under) {
    for application in ["web", "api"] {
        under.record(&ApplicationKey::new("shop", application), everything()).await;
    }
    // Whoever comes first makes the tables; one who stopped at that would hold up all others.
    under.viewport.ping().await.unwrap();
    let mut verifying = Box::pin(viewport::verify(&under.store, &under.viewport, Duration::from_secs(60)));
    let early = timeout(Duration::from_secs(1), &mut verifying).await;
    assert!(early.is_err(), "said before the controller had its time: {early:?}");
    under.catch_up().await;
    assert_eq!(verifying.await.unwrap(), []);
}

pub async fn another_planes_database_is_refused(under: Under) {
    under.viewport.ping().await.unwrap();
    let settings = StoreSettings { plane: Some("other".into()), ..under.settings.clone() };
    let theirs = viewport::open(&settings).unwrap();
    for error in [theirs.ping().await.unwrap_err(), theirs.reset().await.unwrap_err(), theirs.dump().await.unwrap_err()]
    {
        assert!(
            matches!(&error, ViewportError::OtherPlane { theirs, ours, .. } if theirs == "orbit" && ours == "other"),
            "{error}"
        );
    }
}

pub async fn the_first_uses_may_come_all_at_once(under: Under) {
    let viewports: Vec<_> = (0..6).map(|_| under.another()).collect();
    for result in join_all(viewports.iter().map(|viewport| viewport.ping())).await {
        result.unwrap();
    }
    under.record(&web(), everything()).await;
    under.catch_up().await;
    under.assert_faithful().await;
}

pub async fn what_is_recorded_before_the_end_is_there_after_it(under: Under) {
    under.record(&web(), everything()).await;
    let ending = CancellationToken::new();
    ending.cancel();
    under.projector().run(ending).await;
    under.assert_faithful().await;
}
