//! Whether the Viewport is what the journals say.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use tokio::time::sleep;

use super::{
    change::{Change, Rows},
    projection::project,
    projector::ProjectorError,
    schema::{CURSORS, TABLES},
    store::{Cursor, Viewport},
};
use crate::{
    chart_store::{ChartStore, Finding, HEAD_PARTITIONS, Head},
    release::ApplicationKey,
};

/// How often an application is read until nobody moves it on in between.
const ATTEMPTS: u32 = 10;
/// How much is read at once.
const AT_ONCE: usize = 100;
/// How long a look at what is behind is from the next.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Checks every application: that its cursor is at the end of its journal, and that its rows are what a fresh projection
/// of the journal gives. Changes nothing. Rows of applications without a journal are found, too.
///
/// Of a plane that works, some applications are always a moment behind: those are left for the end, and waited for until
/// none of them has moved for `patience`.
pub async fn verify(
    store: &ChartStore,
    viewport: &Viewport,
    patience: Duration,
) -> Result<Vec<Finding>, ProjectorError> {
    let mut findings = Vec::new();
    let mut behind = Vec::new();
    let mut strangers = viewport.applications().await?;
    for partition in 0..HEAD_PARTITIONS {
        let mut after: Option<ApplicationKey> = None;
        loop {
            let heads = store.heads(partition, after.as_ref(), AT_ONCE).await?;
            after = heads.last().map(|head| head.key.clone());
            let last = heads.len() < AT_ONCE;
            for head in heads {
                strangers.remove(&head.key);
                if viewport.cursor(&head.key).await?.map_or(0, |cursor| cursor.seq) < head.seq {
                    behind.push(head);
                } else {
                    findings.extend(verify_application(store, viewport, &head).await?);
                }
            }
            if last {
                break;
            }
        }
    }
    until_caught_up(viewport, &behind, patience).await?;
    for head in &behind {
        findings.extend(verify_application(store, viewport, head).await?);
    }
    for key in strangers {
        // One whose journal began after its partition was read is none.
        if store.head(&key).await?.is_none() {
            findings.push(Finding { subject: subject(&key), problem: "is of no journal".to_owned() });
        }
    }
    Ok(findings)
}

/// Waits until all of these are where their journals ended, or none has moved for so long.
async fn until_caught_up(viewport: &Viewport, behind: &[Head], patience: Duration) -> Result<(), ProjectorError> {
    let mut behind: HashMap<&ApplicationKey, (u64, u64)> =
        behind.iter().map(|head| (&head.key, (head.seq, 0))).collect();
    let mut moved = Instant::now();
    loop {
        let cursors = viewport.cursors().await?;
        behind.retain(|key, (end, at)| {
            let now = cursors.get(*key).map_or(0, |cursor| cursor.seq);
            if now != *at {
                (*at, moved) = (now, Instant::now());
            }
            now < *end
        });
        if behind.is_empty() || moved.elapsed() >= patience {
            return Ok(());
        }
        // Another process moves them on: nothing here tells when.
        sleep(BETWEEN_LOOKS).await;
    }
}

async fn verify_application(
    store: &ChartStore,
    viewport: &Viewport,
    head: &Head,
) -> Result<Vec<Finding>, ProjectorError> {
    let key = &head.key;
    let finding = |problem: String| Finding { subject: subject(key), problem };
    let Some((cursor, rows)) = settled(viewport, key).await? else {
        return Ok(vec![finding("changes all the time: try again".to_owned())]);
    };
    let at = cursor.map_or(0, |cursor| cursor.seq);
    let mut findings = Vec::new();
    if at < head.seq {
        findings.push(finding(format!(
            "is at event {at} of {} and does not move: `orbit viewport status` says why, if a controller runs",
            head.seq
        )));
    }
    let expected = match expected(store, key, cursor).await? {
        Ok(rows) => rows,
        Err(problem) => {
            findings.push(finding(problem));
            return Ok(findings);
        }
    };
    findings.extend(differences(&expected, &rows).into_iter().map(finding));
    Ok(findings)
}

/// An application's cursor and rows as they are together.
async fn settled(viewport: &Viewport, key: &ApplicationKey) -> Result<Option<(Option<Cursor>, Rows)>, ProjectorError> {
    for _ in 0..ATTEMPTS {
        let before = viewport.cursor(key).await?;
        let rows = viewport.rows(Some(key)).await?;
        if viewport.cursor(key).await? == before {
            return Ok(Some((before, rows)));
        }
    }
    Ok(None)
}

/// The rows that the journal gives up to a cursor, or why it gives none.
async fn expected(
    store: &ChartStore,
    key: &ApplicationKey,
    cursor: Option<Cursor>,
) -> Result<Result<Rows, String>, ProjectorError> {
    let mut rows = Rows::default();
    let Some(cursor) = cursor else { return Ok(Ok(rows)) };
    let values = vec![
        ("namespace", key.namespace.as_str().into()),
        ("application", key.application.as_str().into()),
        ("seq", cursor.seq.into()),
        ("hash", cursor.hash.into()),
    ];
    let mut changes = vec![Change::Add(&CURSORS, values)];
    let mut after = 0;
    let mut end = None;
    while after < cursor.seq {
        let events = match store.events(key, after, AT_ONCE).await {
            Ok(events) => events,
            Err(error) if error.is_transient() => return Err(error.into()),
            Err(error) => return Ok(Err(format!("cannot be compared: {error}"))),
        };
        for event in events.iter().take_while(|event| event.seq <= cursor.seq) {
            changes.extend(project(event));
            end = Some(event.hash());
        }
        match events.last() {
            Some(event) => after = event.seq,
            None => return Ok(Err(format!("is at event {}, and the journal ends at {after}", cursor.seq))),
        }
        for change in changes.drain(..) {
            if let Err(duplicate) = rows.apply(change) {
                return Ok(Err(format!("cannot be compared, the journal says something twice: {duplicate}")));
            }
        }
    }
    if end != Some(cursor.hash) {
        return Ok(Err(format!("is at event {}, but not of this journal: `orbit viewport rebuild`", cursor.seq)));
    }
    Ok(Ok(rows))
}

/// How the rows differ, table by table.
fn differences(expected: &Rows, found: &Rows) -> Vec<String> {
    let by_table = |rows: &Rows| {
        let mut tables = BTreeMap::<String, BTreeSet<String>>::new();
        for line in rows.lines() {
            let (table, row) = line.split_once(' ').unwrap_or((&line, ""));
            tables.entry(table.to_owned()).or_default().insert(row.to_owned());
        }
        tables
    };
    let (mut expected, mut found) = (by_table(expected), by_table(found));
    let mut differences = Vec::new();
    for table in TABLES {
        let expected = expected.remove(table.name).unwrap_or_default();
        let found = found.remove(table.name).unwrap_or_default();
        let (missing, surplus) = (expected.difference(&found).count(), found.difference(&expected).count());
        if missing + surplus > 0 {
            differences.push(format!(
                "has {missing} rows too few and {surplus} too many in {}: `orbit viewport rebuild` makes it anew",
                table.name
            ));
        }
    }
    differences
}

fn subject(key: &ApplicationKey) -> String {
    format!("the Viewport of {key}")
}
