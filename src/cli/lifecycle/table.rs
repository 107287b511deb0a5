//! A lifecycle for people: a matrix of versions and environments, what runs in which cluster, then what happened.

use comfy_table::{Table, presets};

use super::clusters;
use crate::cli::text::printable;
use crate::viewport::{Environment, Lifecycle, LifecycleEvent, Release};

/// All tables, the events in the order in which they happened. `hidden` deployments that are gone are left out.
pub fn of(lifecycle: &Lifecycle, hidden: usize) -> String {
    let Lifecycle { namespace, application, releases, environments, events, .. } = lifecycle;
    let mut text = format!("{namespace}/{application}\n\n");
    if releases.is_empty() {
        text.push_str("No release is stored.\n");
    } else {
        text.push_str(&matrix(releases, environments));
        text.push_str(LEGEND);
    }
    text.push('\n');
    text.push_str(&clusters::of(lifecycle, hidden));
    text.push_str(&history(&events.items));
    if events.next.is_some() {
        text.push_str("Older events are left out: --limit shows more.\n");
    }
    text
}

const LEGEND: &str = "
Below an environment: the digest of what is rendered there; selected: that follows; leaving: another version is selected;
-: the release may go there.
";

fn matrix(releases: &[Release], environments: &[Environment]) -> String {
    // Those that a release may go to are shown before anything is there.
    let mut names: Vec<&str> = environments.iter().map(|one| one.environment.as_str()).collect();
    names.extend(releases.iter().flat_map(|release| &release.environments).map(String::as_str));
    names.sort_unstable();
    names.dedup();
    let head = ["VERSION", "STORED (UTC)", "BY", "IMAGE", "CHART"].into_iter().map(str::to_owned);
    let head: Vec<_> = head.chain(names.iter().map(|name| printable(name))).collect();
    let rows = releases.iter().map(|release| {
        let images: Vec<_> = release.images.iter().map(|image| short(&image.digest)).collect();
        let chart = match (&release.purged_at, &release.chart) {
            (Some(_), _) => "purged".to_owned(),
            (None, Some(chart)) => short(chart),
            (None, None) => "none yet".to_owned(),
        };
        let mut row = vec![
            printable(&release.version),
            time(&release.stored_at),
            printable(&release.stored_by),
            images.join(" "),
            chart,
        ];
        row.extend(names.iter().map(|name| {
            let environment = environments.iter().find(|one| one.environment == *name);
            cell(release, name, environment)
        }));
        row
    });
    table(head, rows)
}

/// What a release is to an environment.
fn cell(release: &Release, name: &str, environment: Option<&Environment>) -> String {
    let is_this = |version: &Option<String>| version.as_deref() == Some(release.version.as_str());
    if let Some(environment) = environment {
        let selected = is_this(&environment.version);
        let rendered = environment.rendered.as_ref().filter(|rendered| is_this(&rendered.version));
        match (selected, rendered) {
            (true, Some(rendered)) => return short(&rendered.artifact),
            (true, None) => return "selected".to_owned(),
            (false, Some(rendered)) => return format!("{} leaving", short(&rendered.artifact)),
            (false, None) => {}
        }
    }
    let allowed = release.environments.iter().any(|environment| environment == name);
    if allowed { "-".to_owned() } else { String::new() }
}

fn history(events: &[LifecycleEvent]) -> String {
    let head = ["TIME (UTC)", "VERSION", "EVENT", "ENVIRONMENT", "DIGEST", "BY", "DETAIL"].map(str::to_owned);
    let rows = events.iter().rev().map(|event| {
        let or_nothing = |text: &Option<String>| text.as_deref().map(printable).unwrap_or_default();
        vec![
            time(&event.time),
            or_nothing(&event.version),
            printable(&event.transition),
            or_nothing(&event.environment),
            event.digest.as_deref().map(short).unwrap_or_default(),
            printable(&event.actor),
            event.detail.as_deref().map(shortened).unwrap_or_default(),
        ]
    });
    table(head.to_vec(), rows)
}

pub fn table(head: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(head).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// `2026-01-02T03:04:05.678Z` to the second, as a person reads it.
pub fn time(rfc3339: &str) -> String {
    let seconds = rfc3339.split_once('.').map_or(rfc3339, |(seconds, _)| seconds);
    printable(&seconds.replace('T', " "))
}

/// The first twelve digits of a digest: enough to tell two apart, and to find the whole one in `-o json`.
fn short(digest: &str) -> String {
    printable(digest.strip_prefix("sha256:").unwrap_or(digest)).chars().take(12).collect()
}

/// A text with every digest in it shortened.
fn shortened(text: &str) -> String {
    let word = |word: &str| {
        let digest = word.trim_end_matches(',');
        match digest.parse::<crate::digest::Digest>() {
            Ok(_) => format!("{}{}", short(digest), &word[digest.len()..]),
            Err(_) => printable(word),
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use serde_json::{Value, json};

    use super::*;
    use crate::digest::Digest;

    fn event(seq: i64, time: &str, transition: &str, more: Value) -> Value {
        let mut event = json!({
            "seq": seq, "id": Digest::of("id"), "hash": Digest::of("hash"), "time": time, "actor": "maria@shop.example",
            "transition": transition,
        });
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    }

    fn release(version: &str, environments: &[&str]) -> Value {
        json!({
            "version": version, "digest": Digest::of(version), "storedAt": "2026-01-02T03:04:05.678Z",
            "storedBy": "maria@shop.example", "environments": environments, "chart": Digest::of(format!("chart {version}")),
            "images": [{"name": "main", "digest": Digest::of(format!("image {version}")), "size": 1, "platforms": "linux/amd64"}],
        })
    }

    fn rendered(version: &str) -> Value {
        json!({
            "version": version, "artifact": Digest::of(format!("artifact {version}")), "inputsDigest": Digest::of("inputs"),
            "objects": 6, "at": "2026-01-02T03:04:06.000Z", "images": [],
        })
    }

    fn lifecycle() -> Lifecycle {
        let mut purged = release("1.3.0", &[]);
        purged["purgedAt"] = json!("2026-01-03T00:00:00.000Z");
        let image = format!("main {}", Digest::of("image 1.4.0"));
        serde_json::from_value(json!({
            "namespace": "shop",
            "application": "web",
            "releases": [release("1.5.0", &["dev", "prod", "stage"]), release("1.4.0", &["dev", "prod"]), purged],
            "environments": [
                {"application": "web", "environment": "dev", "version": "1.5.0", "rendered": rendered("1.5.0")},
                {"application": "web", "environment": "prod", "version": "1.5.0", "rendered": rendered("1.4.0")},
            ],
            "events": {"continue": "x", "items": [
                event(5, "2026-01-02T03:04:09.000Z", "promoted", json!({"detail": "a newer\u{1b}[2J program's"})),
                event(4, "2026-01-02T03:04:07.123Z", "rendered", json!({"version": "1.4.0", "environment": "prod", "digest": Digest::of("artifact 1.4.0"), "detail": "6 objects"})),
                event(3, "2026-01-02T03:04:05.678Z", "stored", json!({"version": "1.4.0", "digest": Digest::of("1.4.0"), "detail": image})),
            ]},
        }))
        .unwrap()
    }

    #[test]
    fn people_see_what_is_where_and_how_it_came_there() {
        insta::assert_snapshot!(of(&lifecycle(), 0));
    }

    #[test]
    fn an_application_without_a_release_has_a_history_too() {
        let mut lifecycle = lifecycle();
        (lifecycle.releases, lifecycle.environments, lifecycle.events.next) = (Vec::new(), Vec::new(), None);
        let text = of(&lifecycle, 0);
        assert!(
            text.contains("No release is stored.") && text.contains("promoted") && !text.contains("--limit"),
            "{text}"
        );
    }

    #[test]
    fn digests_are_shortened_wherever_they_are() {
        let digest = Digest::of("x");
        let short = &digest.hex()[..12];
        assert_eq!(shortened(&format!("main {digest}, log {digest}")), format!("main {short}, log {short}"));
        assert_eq!(shortened("6 objects"), "6 objects");
    }
}
