//! A namespace with ten thousand applications and a million events: every first page comes at once.
//!
//! The rows are made in the database itself, from a few stories that many applications share. `ORBIT_TEST_CROWD` says how
//! many applications there are, with 108 events each and more (1,000; 10,000 with a million events take minutes to be
//! made).

mod crowd;

use std::{
    future::Future,
    time::{Duration, Instant},
};

use orbit_plane::{
    release::ApplicationKey,
    viewport::{AuditFilter, Days, MatrixFilter, PageRequest, Period, ReportRequest},
};

use super::Under;

/// How often each question is asked.
const ASKS: usize = 40;
/// What nineteen of twenty answers have to keep within.
const IN_TIME: Duration = Duration::from_millis(300);

fn applications() -> usize {
    let number = |text: String| text.parse().expect("ORBIT_TEST_CROWD is a number");
    std::env::var("ORBIT_TEST_CROWD").map_or(1_000, number)
}

/// How long the nineteen quickest of twenty answers took at most.
async fn p95<A: Future<Output = ()>>(mut ask: impl FnMut(usize) -> A) -> Duration {
    let mut took = Vec::new();
    for turn in 0..ASKS {
        let began = Instant::now();
        ask(turn).await;
        took.push(began.elapsed());
    }
    took.sort();
    took[(ASKS * 19).div_ceil(20) - 1]
}

pub async fn every_first_page_comes_at_once(under: Under) {
    let applications = applications();
    let began = Instant::now();
    let events = crowd::gather(&under, applications).await;
    let here = under.viewport.location().split(' ').next().unwrap_or_default().to_owned();
    println!("{here}: {applications} applications, {events} events after {:.1} s", began.elapsed().as_secs_f32());
    let viewport = &under.viewport;
    let name = |turn: usize| crowd::name(turn * 7919 % applications);
    let first = |limit| PageRequest { limit, after: None };
    let full = |what: &str, found: usize, least: usize| assert!(found >= least, "{what}: {found} items");

    let matrix = async |search: Option<String>, environment: Option<&str>, least: usize| {
        let filter = MatrixFilter { search, environment: environment.map(str::to_owned) };
        let page = viewport.matrix("shop", &filter, &first(50)).await.unwrap();
        full(&format!("{filter:?}"), page.items.len(), least);
    };
    let audit = async |application: Option<String>, actor: Option<&str>, kind: Option<&str>, least: usize| {
        let filter = AuditFilter { application, actor: actor.map(str::to_owned), kind: kind.map(str::to_owned) };
        let page = viewport.audit("shop", &filter, &first(100)).await.unwrap();
        full(&format!("{filter:?}"), page.items.len(), least);
    };
    let lifecycle = async |turn: usize| {
        let key = ApplicationKey::new("shop", name(turn));
        let found = viewport.lifecycle(&key, None, &first(50)).await.unwrap().unwrap();
        full("lifecycle", found.events.items.len(), 50);
        full("its deployments", found.deployments.len(), 6);
    };
    let last = crowd::LAST_DAY.parse().unwrap();
    let report = async |days: i32, application: Option<String>, environment: Option<&str>| {
        let (days, environment) = (Days::until(last, days).unwrap(), environment.map(str::to_owned));
        let request = ReportRequest { application, environment, days, period: Period::Day };
        let report = viewport.report("shop", &request).await.unwrap();
        assert!(report.total.deployments > 0 || request.application.is_some(), "{request:?}");
    };
    let mut late = Vec::new();
    macro_rules! quick {
        ($($question:literal: $ask:expr,)*) => {$(
            let took = p95($ask).await;
            println!("{here}: {}: p95 {:.1} ms", $question, took.as_secs_f64() * 1e3);
            late.extend((took >= IN_TIME).then_some(($question, took)));
        )*};
    }
    quick! {
        "matrix": |_| matrix(None, None, 50),
        "matrix, part of many names": |turn| matrix(Some(name(turn)[..5].to_owned()), None, 50),
        "matrix, a name": |turn| matrix(Some(name(turn)), None, 1),
        "matrix, a name that is none": |turn| matrix(Some(format!("zz{turn}")), None, 0),
        "matrix, an environment": |_| matrix(None, Some("prod"), 50),
        "matrix, an environment of few": |_| matrix(None, Some("canary"), 1),
        "matrix, a name and an environment": |turn| matrix(Some(name(turn)), Some("prod"), 1),
        "audit": |_| audit(None, None, None, 100),
        "audit of an application": |turn| audit(Some(name(turn)), None, None, 100),
        "audit of an application and a type": |turn| audit(Some(name(turn)), None, Some("stored"), 4),
        "audit of an application and an actor": |turn| audit(Some(name(turn)), Some("maria"), None, 4),
        "audit of a type": |_| audit(None, None, Some("charted"), 100),
        "audit of the type of most": |_| audit(None, None, Some("deployment"), 100),
        "audit of a type that never was": |_| audit(None, None, Some("purged"), 0),
        "audit of an actor": |_| audit(None, Some("maria"), None, 100),
        "audit of the actor of most": |_| audit(None, Some("orbit-plane"), None, 100),
        "audit of an actor and a type": |_| audit(None, Some("maria"), Some("stored"), 100),
        "audit of an actor who never did that": |_| audit(None, Some("orbit-plane"), Some("stored"), 0),
        "lifecycle": lifecycle,
        "report of an application": |turn| report(90, Some(name(turn)), None),
    }
    // They are no first pages, and read all that happened in twice their days: they have to be there in time all the same.
    for (days, environment) in [(7, None), (30, None), (90, None), (90, Some("prod"))] {
        let began = Instant::now();
        report(days, None, environment).await;
        let (took, of) = (began.elapsed(), environment.unwrap_or("everything"));
        println!("{here}: report of {of} in {days} days: {:.1} ms", took.as_secs_f64() * 1e3);
    }
    assert!(late.is_empty(), "{here}: {late:?}");
}
