//! The commands, as a person runs them.

use orbit_plane::{
    chart_store::{AnsweredRequest, Condition, ItemKey, SqliteTable, Table, Write, requests_of},
    digest::Digest,
    image_harbor,
    portal::Stores,
};
use pretty_assertions::assert_eq;
use tokio::process::Command;

use super::{Under, killed::orbit, story::*};
use crate::served::served;

/// What a command prints, and whether it succeeds.
async fn run(command: &mut Command) -> (bool, String) {
    let output = command.output().await.unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

pub async fn the_viewport_is_looked_after(under: Under) {
    let settings = &under.settings;
    under.record(&web(), everything()).await;
    let events = under.store.events(&web(), 0, 100).await.unwrap().len();
    let (_, status) = run(orbit(settings).args(["viewport", "status"])).await;
    assert!(status.contains(&format!("shop/web: at event 0 of {events}")), "{status}");
    let (whole, findings) = run(orbit(settings).arg("verify")).await;
    assert!(!whole && findings.contains("the Viewport of shop/web: is at event 0"), "{findings}");

    let (done, said) = run(orbit(settings).args(["viewport", "rebuild"])).await;
    assert!(done && said.contains("1 journals projected"), "{said}");
    let (_, status) = run(orbit(settings).args(["viewport", "status"])).await;
    assert!(status.contains("1, of which 0 are behind") && !status.contains("at event"), "{status}");
    // The events of this suite speak of blobs that no Harbor has: of the Viewport nothing is found.
    let (_, findings) = run(orbit(settings).arg("verify")).await;
    assert!(findings.contains("is not in Image Harbor") && !findings.contains("the Viewport"), "{findings}");

    under.tamper(&["DELETE FROM uploads"]).await;
    let (_, findings) = run(orbit(settings).arg("verify")).await;
    assert!(findings.contains("in uploads"), "{findings}");
}

pub async fn the_lifecycle_is_shown(under: Under) {
    under.record(&web(), everything()).await;
    under.catch_up().await;
    let stores = Stores {
        charts: under.store.clone(),
        harbor: image_harbor::open(&under.settings).await.unwrap(),
        renderer: None,
        kube_version: "1.36.0".into(),
    };
    let server = served(under.viewport.clone(), stores).await;
    let lifecycle = |application: &str| {
        let mut command = orbit(&under.settings);
        command.args(["lifecycle", application, "-n", "shop"]).args(&server);
        command
    };
    let short = |what: &str| Digest::of(what).hex()[..12].to_owned();

    let (_, table) = run(&mut lifecycle("web")).await;
    let row = |start: &str| table.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{table}"));
    for (version, shows) in [
        ("1.4.0", [short("index of web:1.4.0"), short("chart 1.4.0"), "selected".into()]),
        ("1.5.0", [short("artifact dev 1.5.0"), short("artifact prod 1.5.0"), "leaving".into()]),
    ] {
        assert!(shows.iter().all(|text| row(version).contains(text)), "{version} {shows:?}\n{table}");
    }
    assert!(row("1.6.0").contains("purged"), "{table}");
    let prod = |table: &str| table.lines().find(|line| line.starts_with("prod")).map(str::to_owned);
    assert!(prod(&table).unwrap().contains("1.4.0") && prod(&table).unwrap().contains("healthy"), "{table}");
    assert!(table.contains("fleet/eu-1") && table.contains("2 removed or lost: --all shows them"), "{table}");
    let (_, all) = run(lifecycle("web").arg("--all")).await;
    for shown in ["lost 2", "removed 2", "prod in fleet/us-1 is lost: lost of it"] {
        assert!(all.contains(shown) && !table.contains(shown), "{shown}\n{all}");
    }
    let events: Vec<_> = under.store.events(&web(), 0, 100).await.unwrap();
    let (_, json) = run(lifecycle("web").args(["-o", "json", "--limit", "1000"])).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["events"]["items"].as_array().unwrap().len(), events.len());
    assert_eq!(json["events"]["items"][0]["hash"], events.last().unwrap().hash().to_string());
    assert_eq!(json["deployments"].as_array().unwrap().len(), 1);
    assert_eq!(json["deployments"][0]["cluster"]["name"], "eu-1");
    let (_, json) = run(lifecycle("web").args(["-o", "json", "--all"])).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["deployments"].as_array().unwrap().len(), 3);
    let (_, yaml) = run(lifecycle("web").args(["-o", "yaml", "--limit", "2", "--version", "1.5.0"])).await;
    let yaml: serde_json::Value = serde_yaml::from_str(&yaml).unwrap();
    assert_eq!(yaml["events"]["items"].as_array().unwrap().len(), 2);
    assert_eq!(yaml["releases"].as_array().unwrap().len(), 1);
    let (found, said) = run(&mut lifecycle("nothing")).await;
    assert!(!found && said.contains("nothing is recorded of an application nothing in namespace shop"), "{said}");
    let mut stranger = orbit(&under.settings);
    stranger.args(["lifecycle", "web", "-n", "shop", &server[0], &server[1], "--token", "guessed"]);
    let (found, said) = run(&mut stranger).await;
    assert!(!found && said.contains("the API server does not know this token"), "{said}");
}

pub async fn the_audit_is_proven_and_exported(under: Under) {
    let settings = &under.settings;
    under.record(&web(), everything()).await;
    under.store.record_requests(&requests_of("shop"), &[asked("=maria")], false).await.1.unwrap();
    under.store.record_requests(&requests_of(""), &[asked("")], false).await.1.unwrap();
    let (whole, said) = run(orbit(settings).args(["audit", "verify"])).await;
    let head = under.store.head(&web()).await.unwrap().unwrap();
    assert!(whole && said.contains(&format!("shop/web: {} events, head {}, whole", head.seq, head.hash)), "{said}");
    assert!(said.contains("/_requests: 1 events") && said.contains("3 journals"), "{said}");
    let (_, said) = run(orbit(settings).args(["audit", "verify", "-n", "other"])).await;
    assert!(said.contains("0 journals"), "{said}");

    // Each line is what the next one's prevHash is of.
    let (_, lines) = run(orbit(settings).args(["audit", "export", "-n", "shop"])).await;
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines.len() as u64, head.seq + 1);
    let mut last = None;
    for line in &lines {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["prevHash"].as_str().map(str::to_owned), last.filter(|_| event["seq"] != 1), "{line}");
        last = Some(Digest::of(line).to_string());
    }
    let (_, csv) = run(orbit(settings).args(["audit", "export", "--format", "csv"])).await;
    assert_eq!(csv.lines().count() as u64, head.seq + 3, "{csv}");
    assert!(csv.starts_with("at,actor,type,application") && csv.contains(",\"'=maria\",request,"), "{csv}");

    let table = SqliteTable::open(&settings.data_dir()).await.unwrap();
    let at = ItemKey::new("orbit/application/shop/web", "event/00000000000000000004");
    let item = table.get(&at).await.unwrap().unwrap();
    let forged =
        item.body.replace(r#""seq":4"#, r#""seq":4,"actor":"somebody else""#).replacen(r#""actor":"maria","#, "", 1);
    assert_ne!(forged, item.body);
    table.transact(&[Write::put(at, forged, Condition::Any)]).await.unwrap();
    let (whole, said) = run(orbit(settings).args(["audit", "verify"])).await;
    assert!(!whole && said.contains("event 5 of shop/web: does not continue the chain"), "{said}");
    assert!(said.contains("shop/web: ") && said.contains("BROKEN") && said.contains("1 of 3 journals"), "{said}");
}

fn asked(who: &str) -> (String, AnsweredRequest) {
    let request = AnsweredRequest {
        request: "r".into(),
        address: None,
        method: "GET".into(),
        path: "/api/v1/session".into(),
        namespace: None,
        application: None,
        status: Some(200),
        stream: None,
        count: 1,
        first: jiff::Timestamp::UNIX_EPOCH,
        last: jiff::Timestamp::UNIX_EPOCH,
    };
    (who.to_owned(), request)
}
