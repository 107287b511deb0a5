//! The whole history of an application, and where it stands.

use std::collections::BTreeMap;

use sqlx::{AnyConnection, any::AnyRow};

use super::{
    Select, deployments,
    environments::{self, ENVIRONMENT},
    maybe, metadata, number, text,
};
use crate::{
    release::ApplicationKey,
    viewport::{
        Viewport,
        answers::{Deployment, Environment, Image, Lifecycle, LifecycleEvent, Page, Release},
        change::Value,
        database::Database,
        error::ViewportError,
        paging::{Direction, Order, PageRequest},
    },
};

/// How many releases a lifecycle shows besides those that an environment runs.
const NEWEST_RELEASES: usize = 20;
/// The most environments of one application.
const ENVIRONMENTS: usize = 500;

const RELEASE: &str = "SELECT r.version AS version, r.digest AS digest, r.stored_at AS stored_at, \
     r.stored_by AS stored_by, r.owner AS owner, r.origin_revision AS revision, r.purged_at AS purged_at, \
     c.digest AS chart, c.unrestricted AS unrestricted FROM releases r LEFT JOIN charts c \
     ON c.namespace = r.namespace AND c.application = r.application AND c.version = r.version \
     WHERE r.namespace = ? AND r.application = ?";

const EVENT: &str = "SELECT seq, id, hash, prev_hash, occurred_at, actor, transition, version, environment, digest, \
     detail FROM events WHERE namespace = ? AND application = ?";

const NEWEST_FIRST: Order = Order(&[("seq", Direction::Down)]);

impl Viewport {
    /// The history of an application, or of one version of it; none where there is no such application. The pages are
    /// those of the events.
    pub async fn lifecycle(
        &self,
        key: &ApplicationKey,
        version: Option<&str>,
        request: &PageRequest,
    ) -> Result<Option<Lifecycle>, ViewportError> {
        let database = &self.database;
        let mut lease = database.lease().await?;
        let known = "SELECT application FROM applications WHERE namespace = ? AND application = ?";
        if Select::new(known, of(key)).fetch(database, &mut lease).await?.is_empty() {
            lease.done();
            return Ok(None);
        }
        let environments = environments_of(database, &mut lease, key).await?;
        let deployments = deployments::standing(database, &mut lease, key, version).await?;
        let releases = releases(database, &mut lease, key, version, (&environments, &deployments)).await?;
        let events = events(database, &mut lease, key, version, request).await?;
        lease.done();
        let ApplicationKey { namespace, application } = key.clone();
        Ok(Some(Lifecycle { namespace, application, releases, environments, deployments, events }))
    }
}

fn of(key: &ApplicationKey) -> [Value; 2] {
    [key.namespace.as_str().into(), key.application.as_str().into()]
}

async fn environments_of(
    database: &Database,
    connection: &mut AnyConnection,
    key: &ApplicationKey,
) -> Result<Vec<Environment>, ViewportError> {
    let select = Select::new(ENVIRONMENT, [key.namespace.as_str().into()])
        .and("e.application = ?", [key.application.as_str().into()])
        .ordered("e.environment", ENVIRONMENTS);
    let mut rows = select.fetch_as(database, connection, environments::read).await?;
    environments::complete(database, connection, &key.namespace, &mut rows).await?;
    Ok(rows.into_iter().map(|(environment, _)| environment).collect())
}

async fn events(
    database: &Database,
    connection: &mut AnyConnection,
    key: &ApplicationKey,
    version: Option<&str>,
    request: &PageRequest,
) -> Result<Page<LifecycleEvent>, ViewportError> {
    let mut select = Select::new(EVENT, of(key));
    if let Some(version) = version {
        select = select.and("version = ?", [version.into()]);
    }
    let select = select.page(&NEWEST_FIRST, request)?;
    let read = |row: &AnyRow| {
        Ok(LifecycleEvent {
            seq: number(row, "seq")?,
            id: text(row, "id")?,
            hash: text(row, "hash")?,
            prev_hash: maybe(row, "prev_hash")?,
            time: text(row, "occurred_at")?,
            actor: text(row, "actor")?,
            transition: text(row, "transition")?,
            version: maybe(row, "version")?,
            environment: maybe(row, "environment")?,
            digest: maybe(row, "digest")?,
            detail: maybe(row, "detail")?,
        })
    };
    let events = select.fetch_as(database, connection, read).await?;
    Ok(request.page(events, |event| vec![event.seq.to_string()]))
}

async fn releases(
    database: &Database,
    connection: &mut AnyConnection,
    key: &ApplicationKey,
    version: Option<&str>,
    (environments, deployments): (&[Environment], &[Deployment]),
) -> Result<Vec<Release>, ViewportError> {
    const NEWEST: &str = "r.stored_seq DESC";
    let select = || Select::new(RELEASE, of(key));
    let mut releases = match version {
        Some(version) => {
            let select = select().and("r.version = ?", [version.into()]).ordered(NEWEST, 1);
            select.fetch_as(database, connection, read_release).await?
        }
        None => select().ordered(NEWEST, NEWEST_RELEASES).fetch_as(database, connection, read_release).await?,
    };
    if version.is_none() {
        let mut older: Vec<_> = environments
            .iter()
            .flat_map(|one| [one.version.as_deref(), one.rendered.as_ref().and_then(|it| it.version.as_deref())])
            .chain(deployments.iter().filter(|one| one.ended_at.is_none()).map(|one| one.version.as_deref()))
            .flatten()
            .filter(|version| !releases.iter().any(|release| release.version == *version))
            .collect();
        older.sort_unstable();
        older.dedup();
        if !older.is_empty() {
            let count = older.len();
            let select = select().and_in("r.version", older.into_iter().map(Value::from)).ordered(NEWEST, count);
            releases.extend(select.fetch_as(database, connection, read_release).await?);
        }
    }
    complete(database, connection, key, &mut releases).await?;
    Ok(releases)
}

fn read_release(row: &AnyRow) -> Result<Release, sqlx::Error> {
    Ok(Release {
        version: text(row, "version")?,
        digest: text(row, "digest")?,
        stored_at: text(row, "stored_at")?,
        stored_by: text(row, "stored_by")?,
        owner: maybe(row, "owner")?,
        metadata: BTreeMap::new(),
        revision: maybe(row, "revision")?,
        environments: Vec::new(),
        images: Vec::new(),
        chart: maybe(row, "chart")?,
        unrestricted: maybe(row, "unrestricted")?,
        purged_at: maybe(row, "purged_at")?,
    })
}

/// Adds what lies in other tables: images, labels, where a release may go.
async fn complete(
    database: &Database,
    connection: &mut AnyConnection,
    key: &ApplicationKey,
    releases: &mut [Release],
) -> Result<(), ViewportError> {
    if releases.is_empty() {
        return Ok(());
    }
    let versions: Vec<Value> = releases.iter().map(|release| release.version.as_str().into()).collect();
    let of_releases = |sql: &str, order: &str| {
        let mut select = Select::new(sql, of(key)).and_in("version", versions.clone());
        select.sql.push_str(&format!(" ORDER BY {order}"));
        select
    };
    let images = "SELECT version, name, digest, size, platforms FROM images WHERE namespace = ? AND application = ?";
    let read = |row: &AnyRow| {
        let image = Image {
            name: text(row, "name")?,
            digest: text(row, "digest")?,
            size: number(row, "size")?,
            platforms: text(row, "platforms")?,
        };
        Ok((text(row, "version")?, image))
    };
    let images = of_releases(images, "version, name").fetch_as(database, connection, read).await?;
    let allowed = "SELECT version, environment FROM release_environments WHERE namespace = ? AND application = ?";
    let read = |row: &AnyRow| Ok((text(row, "version")?, text(row, "environment")?));
    let allowed = of_releases(allowed, "version, environment").fetch_as(database, connection, read).await?;
    let wanted = releases.iter().map(|release| (key.application.clone(), release.version.clone()));
    let mut labels = metadata(database, connection, &key.namespace, wanted.collect::<Vec<_>>()).await?;
    for release in releases {
        let own = |(version, _): &&(String, String)| *version == release.version;
        release.environments = allowed.iter().filter(own).map(|(_, environment)| environment.clone()).collect();
        let images = images.iter().filter(|(version, _)| *version == release.version);
        release.images = images.map(|(_, image)| image.clone()).collect();
        let labels = labels.remove(&(key.application.clone(), release.version.clone()));
        release.metadata = labels.unwrap_or_default();
    }
    Ok(())
}
