//! How deliveries went, counted by hand.

use orbit_plane::{
    chart_store::{Deployment, DeploymentState, Event, Fact, SCHEMA_VERSION},
    digest::Digest,
    release::ApplicationKey,
    viewport::{Days, Figures, LeadTime, Period, Report, ReportRequest},
};
use pretty_assertions::assert_eq;

use super::{Under, story::*};

/// What happened of an application: days and times of 2026, each with what it was.
async fn told(under: &Under, key: &ApplicationKey, facts: impl IntoIterator<Item = (&str, Fact)>) {
    let mut events: Vec<Event> = Vec::new();
    for (seq, (time, fact)) in (1..).zip(facts) {
        events.push(Event {
            schema_version: SCHEMA_VERSION,
            plane: "orbit".into(),
            key: key.clone(),
            seq,
            prev_hash: events.last().map(Event::hash),
            id: Digest::of(seq.to_string()),
            time: format!("2026-{time}:00Z").parse().unwrap(),
            actor: "orbit-plane".into(),
            fact,
            spec: None,
        });
    }
    under.viewport.apply(key, None, &events).await.unwrap();
}

fn came(place: &str, attempt: u64, version: &str, state: DeploymentState) -> Fact {
    let (environment, name) = place.split_once('/').unwrap();
    let Fact::Deployment(fact) = deployed(environment, &cluster(name), version, version, state) else { unreachable!() };
    Fact::Deployment(Deployment { attempt, ..fact })
}

async fn report(under: &Under, application: Option<&str>, environment: Option<&str>, period: Period) -> Report {
    let days = Days::new("2026-03-02".parse().unwrap(), "2026-03-08".parse().unwrap()).unwrap();
    let [application, environment] = [application, environment].map(|name| name.map(str::to_owned));
    under.viewport.report("shop", &ReportRequest { application, environment, days, period }).await.unwrap()
}

pub async fn how_deliveries_go(under: Under) {
    use DeploymentState::{Applied, Degraded, Failed, Healthy, Removed, Requested, RolledBack};
    let (eu, us, dev) = ("prod/eu-1", "prod/us-1", "dev/eu-1");
    let facts = [
        ("03-02T08:00", stored("1.0.0", "a")),
        ("03-02T08:10", came(eu, 1, "1.0.0", Requested)),
        ("03-02T08:11", came(eu, 1, "1.0.0", Applied)),
        // The first cluster of the environment is there after 13 minutes.
        ("03-02T08:13", came(eu, 1, "1.0.0", Healthy)),
        ("03-02T08:20", came(us, 1, "1.0.0", Applied)),
        ("03-02T08:30", came(us, 1, "1.0.0", Healthy)),
        ("03-03T09:00", stored("1.1.0", "b")),
        // It fails in one cluster, and what was there before is back four minutes later.
        ("03-03T09:06", came(eu, 2, "1.1.0", Applied)),
        ("03-03T09:06", came(us, 2, "1.1.0", Applied)),
        ("03-03T09:10", came(us, 2, "1.1.0", Healthy)),
        ("03-03T09:16", came(eu, 2, "1.1.0", Failed)),
        ("03-03T09:16", came(eu, 2, "1.1.0", RolledBack)),
        ("03-03T09:16", came(eu, 3, "1.0.0", Requested)),
        ("03-03T09:17", came(eu, 3, "1.0.0", Applied)),
        ("03-03T09:20", came(eu, 3, "1.0.0", Healthy)),
        // In the other one it degrades two hours later, and is applied once more: that is no other deployment.
        ("03-03T11:10", came(us, 2, "1.1.0", Degraded)),
        ("03-03T11:40", came(us, 2, "1.1.0", Healthy)),
        ("03-03T12:00", came(us, 2, "1.1.0", Applied)),
        // Refused by a cluster, and taken back: nothing recovers there.
        ("03-04T10:00", came(dev, 1, "1.1.0", Failed)),
        ("03-04T11:00", came(dev, 1, "1.1.0", Removed)),
        // One incident, however it goes on.
        ("03-05T10:00", came(us, 2, "1.1.0", Degraded)),
        ("03-05T10:05", came(us, 2, "1.1.0", Failed)),
        ("03-05T10:10", came(us, 2, "1.1.0", Healthy)),
        ("03-06T10:01", came(dev, 2, "1.1.0", Applied)),
        ("03-06T10:02", came(dev, 2, "1.1.0", Healthy)),
        // After the report.
        ("03-09T00:00", came(dev, 3, "1.0.0", Applied)),
        ("03-09T00:01", came(dev, 3, "1.0.0", Degraded)),
    ];
    told(&under, &web(), facts).await;
    let facts = [
        ("02-26T00:00", stored("0.9.0", "c")),
        ("02-26T00:05", came(us, 1, "0.9.0", Applied)),
        ("02-26T00:10", came(us, 1, "0.9.0", Healthy)),
        // Two days later it is not the deployment's fault any more.
        ("02-28T00:20", came(us, 1, "0.9.0", Degraded)),
        ("03-02T00:20", came(us, 1, "0.9.0", Healthy)),
        ("03-03T00:00", stored("1.0.0", "d")),
        ("03-03T00:01", came(eu, 1, "1.0.0", Applied)),
        ("03-03T00:02", came(eu, 1, "1.0.0", Healthy)),
    ];
    told(&under, &ApplicationKey::new("shop", "api"), facts).await;
    let facts = [("03-03T00:00", stored("1.0.0", "e")), ("03-03T00:01", came(eu, 1, "1.0.0", Failed))];
    told(&under, &ApplicationKey::new("other", "web"), facts).await;

    let all = report(&under, None, None, Period::Day).await;
    let lead_time = |arrivals, median_seconds, p90_seconds| Some(LeadTime { arrivals, median_seconds, p90_seconds });
    let three_days = 3 * 86_400 + 3720;
    assert_eq!(
        all.total,
        Figures {
            deployments: 6,
            attempts: 7,
            failures: 3,
            failure_rate: Some(3.0 / 7.0),
            // 120, 600, 780 and three days.
            lead_time: lead_time(4, 600, three_days),
            incidents: 4,
            recovered: 3,
            // 240, 600 and 1800.
            seconds_to_recover: Some(600),
        }
    );
    assert_eq!(
        all.before,
        Figures {
            deployments: 1,
            attempts: 1,
            failures: 0,
            failure_rate: Some(0.0),
            lead_time: lead_time(1, 600, 600),
            incidents: 1,
            recovered: 1,
            seconds_to_recover: Some(2 * 86_400),
        }
    );
    let by_day: Vec<_> = all
        .periods
        .iter()
        .map(|day| {
            let Figures { deployments, attempts, failures, incidents, recovered, .. } = day.figures;
            (day.from.as_str(), [deployments, attempts, failures, incidents, recovered])
        })
        .collect();
    assert_eq!(
        by_day,
        [
            ("2026-03-02", [2, 2, 0, 0, 0]),
            ("2026-03-03", [3, 3, 2, 2, 2]),
            ("2026-03-04", [0, 1, 1, 1, 0]),
            ("2026-03-05", [0, 0, 0, 1, 1]),
            ("2026-03-06", [1, 1, 0, 0, 0]),
            ("2026-03-07", [0, 0, 0, 0, 0]),
            ("2026-03-08", [0, 0, 0, 0, 0]),
        ]
    );
    let week = report(&under, None, None, Period::Week).await;
    let [only] = &week.periods[..] else { panic!("{week:?}") };
    assert_eq!((&only.figures, only.to.as_str()), (&all.total, "2026-03-08"));

    let of = async |application, environment| {
        let Figures { deployments, failures, lead_time, incidents, .. } =
            report(&under, application, environment, Period::Day).await.total;
        (deployments, failures, lead_time, incidents)
    };
    assert_eq!(of(Some("api"), None).await, (1, 0, lead_time(1, 120, 120), 0));
    assert_eq!(of(None, Some("dev")).await, (1, 1, lead_time(1, three_days, three_days), 1));
    assert_eq!(of(Some("web"), Some("prod")).await, (4, 2, lead_time(2, 600, 780), 3));
    assert_eq!(of(Some("web"), Some("moon")).await, (0, 0, None, 0));
}
