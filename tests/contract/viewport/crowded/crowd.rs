//! Many applications, made in the database from a few stories.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor, Row, any::AnyRow};

use crate::viewport::Under;

/// How many stories there are. The applications of one differ in their names and in the second of everything.
const STORIES: usize = 50;
/// Releases of each application.
const RELEASES: usize = 4;
/// Rows that one statement brings along as text.
const AT_ONCE: usize = 500;

/// The time at which the first story begins; the last one has ended a year later.
const BEGIN: &str = "2025-01-01T00:00:00Z";
/// The last day of all stories.
pub const LAST_DAY: &str = "2025-12-27";

const PLACES: [(&str, &str); 6] =
    [("dev", "eu-1"), ("dev", "us-1"), ("prod", "eu-1"), ("prod", "us-1"), ("staging", "eu-1"), ("staging", "us-1")];

/// The name of an application.
pub fn name(number: usize) -> String {
    const WORDS: [&str; 8] = ["basket", "catalog", "invoice", "ledger", "mailer", "search", "stock", "wallet"];
    format!("{}-{:05}", WORDS[number % WORDS.len()], number)
}

/// Something that happens to an application: what the journal says of it, and the place and attempt where it is one of
/// a deployment.
struct Step {
    minute: i64,
    actor: &'static str,
    transition: &'static str,
    version: String,
    environment: Option<&'static str>,
    deployed: Option<Deployed>,
}

struct Deployed {
    cluster: &'static str,
    attempt: usize,
    state: &'static str,
}

/// All that happens to an application of a story, in order. In every tenth one a release fails in a cluster and goes
/// back, in another tenth it degrades for a while.
fn story(number: usize) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut attempts = BTreeMap::<_, usize>::new();
    for release in 0..RELEASES {
        let begin = ((number * 7 % 87 + release * 91) * 24 * 60 + number * 29 % 1440) as i64;
        let version = format!("1.{release}.0");
        let mut step = |minute: i64, actor, transition, environment| {
            let version = version.clone();
            steps.push(Step { minute: begin + minute, actor, transition, version, environment, deployed: None });
        };
        step(0, "maria", "stored", None);
        step(0, "maria", "described", None);
        step(1, "orbit-plane", "charted", None);
        for environment in ["dev", "prod", "staging"] {
            step(2, if environment == "prod" { "jonas" } else { "orbit-plane" }, "selected", Some(environment));
            step(3, "orbit-plane", "rendered", Some(environment));
        }
        for place @ (environment, cluster) in PLACES {
            let attempt = attempts.entry(place).or_default();
            *attempt += 1;
            let mut deployed = |minute: i64, version: &str, attempt, state| {
                let deployed = Some(Deployed { cluster, attempt, state });
                let (version, environment) = (version.to_owned(), Some(environment));
                let (minute, actor, transition) = (begin + minute, "orbit-plane", "deployment");
                steps.push(Step { minute, actor, transition, version, environment, deployed });
            };
            deployed(4, &version, *attempt, "requested");
            deployed(5, &version, *attempt, "applied");
            if number % 10 == 7 && release == 2 && place == ("prod", "us-1") {
                deployed(15, &version, *attempt, "failed");
                deployed(15, &version, *attempt, "rolledBack");
                *attempt += 1;
                let before = format!("1.{}.0", release - 1);
                for (minute, state) in [(15, "requested"), (16, "applied"), (18, "healthy")] {
                    deployed(minute, &before, *attempt, state);
                }
                continue;
            }
            deployed(7, &version, *attempt, "healthy");
            if number % 10 == 3 && release == 2 && place == ("prod", "us-1") {
                deployed(30, &version, *attempt, "degraded");
                deployed(45, &version, *attempt, "healthy");
            }
        }
    }
    steps.sort_by_key(|step| step.minute);
    steps
}

/// A time up to its minute; the seconds are the application's.
fn minute(minutes: i64) -> String {
    let begin: Timestamp = BEGIN.parse().unwrap();
    let time = begin + SignedDuration::from_mins(minutes);
    format!("{time:.3}")[..17].to_owned()
}

fn quoted(text: Option<&str>) -> String {
    text.map_or_else(|| "NULL".to_owned(), |text| format!("'{text}'"))
}

/// Fills a table with rows that are given as text.
fn rows(statements: &mut Vec<String>, table: &str, rows: &[String]) {
    statements.extend(rows.chunks(AT_ONCE).map(|rows| format!("INSERT INTO {table} VALUES {}", rows.join(", "))));
}

fn digest(of: &str) -> String {
    format!("{}", orbit_plane::digest::Digest::of(of))
}

/// Fills the tables that are asked in tests. Returns how many events there are.
pub async fn gather(under: &Under, applications: usize) -> usize {
    under.viewport.ping().await.unwrap();
    let mysql = under.settings.mysql_url.is_some();
    let mut connection = under.connect().await;
    let mut statements: Vec<String> = match mysql {
        // || is OR otherwise.
        true => vec!["SET SESSION sql_mode = 'PIPES_AS_CONCAT'".to_owned()],
        false => vec!["PRAGMA synchronous = OFF".to_owned(), "PRAGMA cache_size = -200000".to_owned()],
    };
    // An index is made of all rows at once much faster than row by row.
    let indexes = indexes(&mut connection, mysql).await;
    statements.extend(indexes.iter().map(|index| index.drop.clone()));
    for table in [
        "crowd (story BIGINT, name VARCHAR(63), second VARCHAR(32), half VARCHAR(71), PRIMARY KEY (story, name))",
        "steps (story BIGINT, seq BIGINT, minute VARCHAR(32), actor VARCHAR(63), transition VARCHAR(63), \
         version VARCHAR(63), environment VARCHAR(63), detail VARCHAR(128), half VARCHAR(71), earlier VARCHAR(71), \
         cluster VARCHAR(63), attempt BIGINT, state VARCHAR(63), PRIMARY KEY (story, seq))",
        "attempts (story BIGINT, environment VARCHAR(63), cluster VARCHAR(63), attempt BIGINT, version VARCHAR(63), \
         state VARCHAR(63), since VARCHAR(32), is_current BIGINT, is_running BIGINT, requested VARCHAR(32), \
         applied VARCHAR(32), healthy VARCHAR(32), degraded VARCHAR(32), failed VARCHAR(32), \
         PRIMARY KEY (story, environment, cluster, attempt))",
    ] {
        statements.push(format!("CREATE TABLE story_{table}"));
    }
    let crowd: Vec<_> = (0..applications)
        .map(|number| {
            let (name, half) = (name(number), &digest(&name(number))[7..39]);
            let story = number * STORIES / applications;
            format!("({story}, '{name}', '{:02}.{:03}Z', 'sha256:{half}')", number % 60, number * 7 % 1000)
        })
        .collect();
    rows(&mut statements, "story_crowd", &crowd);
    let (mut all_steps, mut attempts, mut events) = (Vec::new(), Vec::new(), 0);
    for number in 0..STORIES {
        let steps = story(number);
        let tellers = (0..applications).filter(|one| one * STORIES / applications == number).count();
        events += steps.len() * tellers;
        for (seq, step) in (1..).zip(&steps) {
            let detail = step.deployed.as_ref().map_or_else(
                || format!("{} of it, as was asked for", step.transition),
                |at| format!("{} in fleet/{}: 6 objects are as they should be", at.state, at.cluster),
            );
            let half = |seq: usize| digest(&format!("{number} {seq}"))[7..39].to_owned();
            let values = [step.actor, step.transition, &step.version].map(|text| quoted(Some(text))).join(", ");
            let deployed = step.deployed.as_ref().map_or_else(
                || "NULL, NULL, NULL".to_owned(),
                |at| format!("'{}', {}, '{}'", at.cluster, at.attempt, at.state),
            );
            all_steps.push(format!(
                "({number}, {seq}, '{}', {values}, {}, '{detail}', '{}', '{}', {deployed})",
                minute(step.minute),
                quoted(step.environment),
                half(seq),
                half(seq - 1),
            ));
        }
        attempts.extend(attempts_of(number, &steps));
    }
    rows(&mut statements, "story_steps", &all_steps);
    rows(&mut statements, "story_attempts", &attempts);
    for number in 0..STORIES {
        statements.extend(TABLES.map(|(insert, from)| {
            let group = if insert.starts_with("arrivals") { " GROUP BY a.name, s.environment, s.version" } else { "" };
            format!("INSERT INTO {insert} {from} AND a.story = {number}{group}")
        }));
    }
    statements.extend(["crowd", "steps", "attempts"].map(|table| format!("DROP TABLE story_{table}")));
    statements.extend(indexes.into_iter().map(|index| index.make));
    if mysql {
        let analyzed = "applications, releases, environments, deployments, deployment_images, milestones, \
                        arrivals, health, events";
        statements.push(format!("ANALYZE TABLE {analyzed}"));
    }
    for statement in statements {
        connection.execute(AssertSqlSafe(statement)).await.unwrap();
    }
    connection.close().await.unwrap();
    events
}

/// What takes the indexes of a table away, and what makes them anew.
struct Indexes {
    drop: String,
    make: String,
}

/// Those of the tables with the most rows, but what makes keys unique.
async fn indexes(connection: &mut AnyConnection, mysql: bool) -> Vec<Indexes> {
    const TABLES: &str = "('events', 'deployments', 'deployment_images', 'milestones', 'arrivals', 'health')";
    if !mysql {
        let select =
            format!("SELECT name, sql FROM sqlite_master WHERE sql LIKE 'CREATE INDEX%' AND tbl_name IN {TABLES}");
        let rows = connection.fetch_all(AssertSqlSafe(select)).await.unwrap();
        let of = |row: &AnyRow| Indexes { drop: format!("DROP INDEX {}", row.get::<String, _>(0)), make: row.get(1) };
        return rows.iter().map(of).collect();
    }
    let select = format!(
        "SELECT CAST(table_name AS CHAR(64)), CAST(index_name AS CHAR(64)), \
         CAST(GROUP_CONCAT(column_name ORDER BY seq_in_index) AS CHAR(1000)) FROM information_schema.statistics \
         WHERE table_schema = DATABASE() AND non_unique = 1 AND table_name IN {TABLES} \
         GROUP BY table_name, index_name"
    );
    let mut tables = BTreeMap::<String, Vec<(String, String)>>::new();
    for row in connection.fetch_all(AssertSqlSafe(select)).await.unwrap() {
        tables.entry(row.get(0)).or_default().push((row.get(1), row.get(2)));
    }
    let of_table = |(table, indexes): (String, Vec<(String, String)>)| {
        let each = |change: &dyn Fn(&(String, String)) -> String| {
            let changes: Vec<_> = indexes.iter().map(change).collect();
            format!("ALTER TABLE {table} {}", changes.join(", "))
        };
        Indexes {
            drop: each(&|(name, _)| format!("DROP INDEX {name}")),
            make: each(&|(name, columns)| format!("ADD INDEX {name} ({columns})")),
        }
    };
    tables.into_iter().map(of_table).collect()
}

fn attempts_of(story: usize, steps: &[Step]) -> Vec<String> {
    let mut places = BTreeMap::<_, BTreeMap<usize, Vec<&Step>>>::new();
    for step in steps {
        let Some(deployed) = &step.deployed else { continue };
        let place = (step.environment.unwrap(), deployed.cluster);
        places.entry(place).or_default().entry(deployed.attempt).or_default().push(step);
    }
    let mut rows = Vec::new();
    for ((environment, cluster), attempts) in places {
        let last = *attempts.keys().last().unwrap();
        for (attempt, steps) in attempts {
            let (end, version) = (steps.last().unwrap(), &steps[0].version);
            let at = |state: &str| {
                let of = |step: &&&Step| step.deployed.as_ref().unwrap().state == state;
                quoted(steps.iter().rev().find(of).map(|step| minute(step.minute)).as_deref())
            };
            let times = ["requested", "applied", "healthy", "degraded", "failed"].map(at).join(", ");
            let (state, since) = (end.deployed.as_ref().unwrap().state, minute(end.minute));
            let now = i64::from(attempt == last);
            rows.push(format!(
                "({story}, '{environment}', '{cluster}', {attempt}, '{version}', '{state}', '{since}', {now}, {now}, {times})"
            ));
        }
    }
    rows
}

/// Each table with what it is made from: the applications of a story, and what happens in it.
const TABLES: [(&str, &str); 12] = [
    (
        "applications (namespace, application, first_event_at, last_event_at, last_version)",
        "SELECT 'shop', a.name, '2025-01-01T00:00:' || a.second, '2025-12-31T00:00:' || a.second, '1.3.0' \
         FROM story_crowd a WHERE 1 = 1",
    ),
    (
        "events (namespace, application, seq, id, prev_hash, hash, schema_version, occurred_at, actor, transition, \
         version, environment, digest, detail, about)",
        "SELECT 'shop', a.name, s.seq, a.half || s.half, a.half || s.earlier, a.half || s.half, 5, \
         s.minute || a.second, s.actor, s.transition, s.version, s.environment, a.half || s.half, s.detail, a.name \
         FROM story_crowd a CROSS JOIN story_steps s WHERE s.story = a.story",
    ),
    (
        "releases (namespace, application, version, digest, stored_at, stored_by, stored_seq, owner)",
        "SELECT 'shop', a.name, s.version, a.half || s.half, s.minute || a.second, s.actor, s.seq, \
         'team-' || SUBSTR(a.name, 1, 3) FROM story_crowd a CROSS JOIN story_steps s \
         WHERE s.story = a.story AND s.transition = 'stored'",
    ),
    (
        "charts (namespace, application, version, digest, package_digest, size, published_at)",
        "SELECT 'shop', a.name, s.version, a.half || s.half, a.half || s.half, 5120, s.minute || a.second \
         FROM story_crowd a CROSS JOIN story_steps s WHERE s.story = a.story AND s.transition = 'charted'",
    ),
    (
        "metadata (namespace, application, version, name, value)",
        "SELECT 'shop', a.name, s.version, 'team', SUBSTR(a.name, 1, 3) FROM story_crowd a \
         CROSS JOIN story_steps s WHERE s.story = a.story AND s.transition = 'stored'",
    ),
    (
        "environments (namespace, application, environment, version, selected_at, selected_by, rendered_version, \
         artifact, inputs_digest, objects, rendered_at, rendered_seq)",
        "SELECT 'shop', a.name, s.environment, s.version, s.minute || a.second, 'jonas', s.version, \
         a.half || s.half, a.half || s.half, 6, s.minute || a.second, s.seq FROM story_crowd a \
         CROSS JOIN story_steps s WHERE s.story = a.story AND s.transition = 'rendered' AND s.version = '1.3.0'",
    ),
    (
        // Every hundredth application is in one more environment.
        "environments (namespace, application, environment, version, selected_at, selected_by)",
        "SELECT 'shop', a.name, 'canary', '1.3.0', '2025-12-31T00:00:' || a.second, 'jonas' FROM story_crowd a \
         WHERE a.name LIKE '%00'",
    ),
    (
        "milestones (namespace, application, environment, cluster_namespace, cluster_name, cluster_uid, attempt, \
         state, reached_at)",
        "SELECT 'shop', a.name, s.environment, 'fleet', s.cluster, 'uid of ' || s.cluster, s.attempt, s.state, \
         s.minute || a.second FROM story_crowd a CROSS JOIN story_steps s \
         WHERE s.story = a.story AND s.state IN ('applied', 'failed', 'degraded', 'rolledBack')",
    ),
    (
        // The version that was rolled back to had been there before.
        "arrivals (namespace, application, environment, version, healthy_at)",
        "SELECT 'shop', a.name, s.environment, s.version, MIN(s.minute || a.second) FROM story_crowd a \
         CROSS JOIN story_steps s WHERE s.story = a.story AND s.state = 'healthy' ",
    ),
    (
        "health (namespace, application, environment, cluster_namespace, cluster_name, cluster_uid, seq, state, \
         changed_at)",
        "SELECT 'shop', a.name, s.environment, 'fleet', s.cluster, 'uid of ' || s.cluster, s.seq, s.state, \
         s.minute || a.second FROM story_crowd a CROSS JOIN story_steps s \
         WHERE s.story = a.story AND s.state IN ('healthy', 'failed', 'degraded')",
    ),
    (
        "deployments (namespace, application, environment, cluster_namespace, cluster_name, cluster_uid, attempt, \
         version, artifact, state, since, is_current, is_running, requested_at, applied_at, healthy_at, degraded_at, \
         failed_at)",
        "SELECT 'shop', a.name, t.environment, 'fleet', t.cluster, 'uid of ' || t.cluster, t.attempt, t.version, \
         a.half || '0123456789abcdef0123456789abcdef', t.state, t.since || a.second, t.is_current, t.is_running, \
         t.requested || a.second, t.applied || a.second, t.healthy || a.second, t.degraded || a.second, \
         t.failed || a.second FROM story_crowd a CROSS JOIN story_attempts t WHERE t.story = a.story",
    ),
    (
        "deployment_images (namespace, digest, application, environment, cluster_namespace, cluster_name, \
         cluster_uid, attempt)",
        "SELECT 'shop', a.half || t.version, a.name, t.environment, 'fleet', t.cluster, 'uid of ' || t.cluster, \
         t.attempt FROM story_crowd a CROSS JOIN story_attempts t WHERE t.story = a.story",
    ),
];
