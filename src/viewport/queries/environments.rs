//! What is in prod.

use std::collections::BTreeMap;

use sqlx::{AnyConnection, any::AnyRow};

use super::{Select, maybe, metadata, number, text};
use crate::viewport::{
    Viewport,
    answers::{Environment, Page, Rendered, RenderedImage},
    database::Database,
    error::ViewportError,
    paging::{Direction, Order, PageRequest},
};

/// What is read of an environment, wherever it is asked for.
pub(super) const ENVIRONMENT: &str = "SELECT e.application AS application, e.environment AS environment, e.version AS version, \
     e.chart_digest AS chart, e.reason AS reason, e.selected_at AS selected_at, e.selected_by AS selected_by, \
     e.rendered_version AS rendered_version, e.artifact AS artifact, e.inputs_digest AS inputs_digest, \
     e.objects AS objects, e.rendered_at AS rendered_at, e.rendered_seq AS rendered_seq, r.owner AS owner \
     FROM environments e LEFT JOIN releases r ON r.namespace = e.namespace AND r.application = e.application \
     AND r.version = e.version WHERE e.namespace = ? AND e.removed_at IS NULL";

const BY_APPLICATION: Order = Order(&[("e.application", Direction::Up)]);

impl Viewport {
    /// What an environment runs, application by application.
    pub async fn environment(
        &self,
        namespace: &str,
        environment: &str,
        request: &PageRequest,
    ) -> Result<Page<Environment>, ViewportError> {
        let select = Select::new(ENVIRONMENT, [namespace.into()])
            .and("e.environment = ?", [environment.into()])
            .page(&BY_APPLICATION, request)?;
        let database = &self.database;
        let mut lease = database.lease().await?;
        let rows = select.fetch_as(database, &mut lease, read).await?;
        let page = request.page(rows, |(environment, _)| vec![environment.application.clone()]);
        let mut environments = page.items;
        complete(database, &mut lease, namespace, &mut environments).await?;
        lease.done();
        Ok(Page { items: environments, next: page.next }.map(|(environment, _)| environment))
    }
}

/// An environment, and the event that its rendering is from.
pub(super) type Row = (Environment, Option<i64>);

pub(super) fn read(row: &AnyRow) -> Result<Row, sqlx::Error> {
    let rendered = match maybe(row, "artifact")? {
        Some(artifact) => Some(Rendered {
            version: maybe(row, "rendered_version")?,
            artifact,
            inputs_digest: text(row, "inputs_digest")?,
            objects: number(row, "objects")?,
            at: text(row, "rendered_at")?,
            images: Vec::new(),
        }),
        None => None,
    };
    let seq = if rendered.is_some() { Some(number(row, "rendered_seq")?) } else { None };
    let environment = Environment {
        application: text(row, "application")?,
        environment: text(row, "environment")?,
        version: maybe(row, "version")?,
        chart: maybe(row, "chart")?,
        reason: maybe(row, "reason")?,
        selected_at: maybe(row, "selected_at")?,
        selected_by: maybe(row, "selected_by")?,
        rendered,
        owner: maybe(row, "owner")?,
        metadata: BTreeMap::new(),
    };
    Ok((environment, seq))
}

/// Adds what lies in other tables: the images of the renderings, the labels of the releases.
pub(super) async fn complete(
    database: &Database,
    connection: &mut AnyConnection,
    namespace: &str,
    environments: &mut [Row],
) -> Result<(), ViewportError> {
    let selected = environments
        .iter()
        .filter_map(|(environment, _)| Some((environment.application.clone(), environment.version.clone()?)));
    let labels = metadata(database, connection, namespace, selected).await?;
    let mut images = images(database, connection, namespace, environments).await?;
    for (environment, seq) in environments {
        if let Some(version) = &environment.version {
            let release = (environment.application.clone(), version.clone());
            environment.metadata = labels.get(&release).cloned().unwrap_or_default();
        }
        if let (Some(rendered), Some(seq)) = (&mut environment.rendered, seq) {
            rendered.images = images.remove(&(environment.application.clone(), *seq)).unwrap_or_default();
        }
    }
    Ok(())
}

async fn images(
    database: &Database,
    connection: &mut AnyConnection,
    namespace: &str,
    environments: &[Row],
) -> Result<BTreeMap<(String, i64), Vec<RenderedImage>>, ViewportError> {
    let wanted: Vec<_> = environments
        .iter()
        .filter_map(|(environment, seq)| {
            Some([namespace.into(), environment.application.as_str().into(), (*seq)?.into()])
        })
        .collect();
    let mut found = BTreeMap::<_, Vec<_>>::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let mut select = Select::one_of(
        "SELECT application, seq, reference, digest, tracked FROM overlay_images",
        ["namespace", "application", "seq"],
        wanted,
    );
    select.sql.push_str(" ORDER BY application, seq, position");
    let read = |row: &AnyRow| {
        let image = RenderedImage {
            reference: text(row, "reference")?,
            digest: maybe(row, "digest")?,
            tracked: number(row, "tracked")? != 0,
        };
        Ok(((text(row, "application")?, number(row, "seq")?), image))
    };
    for (rendering, image) in select.fetch_as(database, connection, read).await? {
        found.entry(rendering).or_default().push(image);
    }
    Ok(found)
}
