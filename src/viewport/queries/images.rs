//! Where is this image, and which releases hold it.

use std::collections::BTreeMap;

use sqlx::{AnyConnection, any::AnyRow};

use super::{Select, maybe, metadata, text};
use crate::{
    digest::Digest,
    viewport::{
        Viewport,
        answers::{Holder, Page, Place},
        change::Value,
        database::Database,
        error::ViewportError,
        paging::{Direction, Order, PageRequest},
    },
};

const PLACE: &str = "SELECT e.application AS application, e.environment AS environment, e.rendered_version AS version, \
     o.reference AS reference, o.digest AS digest, e.artifact AS artifact, e.rendered_at AS since, \
     o.position AS position FROM overlay_images o JOIN environments e ON e.namespace = o.namespace \
     AND e.application = o.application AND e.environment = o.environment AND e.rendered_seq = o.seq \
     WHERE o.namespace = ? AND e.removed_at IS NULL";

const PLACES: Order =
    Order(&[("e.application", Direction::Up), ("e.environment", Direction::Up), ("o.position", Direction::Up)]);

const HOLDER: &str = "SELECT d.application AS application, d.version AS version, d.name AS image, \
     d.image_digest AS digest, r.stored_at AS stored_at, r.stored_by AS stored_by, r.owner AS owner \
     FROM image_digests d JOIN releases r ON r.namespace = d.namespace AND r.application = d.application \
     AND r.version = d.version WHERE d.namespace = ? AND d.digest = ?";

const HOLDERS: Order =
    Order(&[("d.application", Direction::Up), ("d.version", Direction::Up), ("d.name", Direction::Up)]);

/// How many images may share a platform's manifest or config and still all be looked for.
const SAME_CONTENT: usize = 100;

impl Viewport {
    /// Where an image is now: each environment whose rendering runs it. The digest may be that of the image, of a
    /// platform's manifest or of a platform's config.
    pub async fn image_places(
        &self,
        namespace: &str,
        digest: &Digest,
        request: &PageRequest,
    ) -> Result<Page<Place>, ViewportError> {
        let database = &self.database;
        let mut lease = database.lease().await?;
        let images = images_of(database, &mut lease, namespace, digest).await?;
        let select = Select::new(PLACE, [namespace.into()]).and_in("o.digest", images).page(&PLACES, request)?;
        let read = |row: &AnyRow| {
            let place = Place {
                application: text(row, "application")?,
                environment: text(row, "environment")?,
                version: maybe(row, "version")?,
                reference: text(row, "reference")?,
                digest: text(row, "digest")?,
                artifact: text(row, "artifact")?,
                since: text(row, "since")?,
            };
            Ok((place, super::number(row, "position")?))
        };
        let places = select.fetch_as(database, &mut lease, read).await?;
        lease.done();
        let position = |(place, position): &(Place, i64)| {
            vec![place.application.clone(), place.environment.clone(), position.to_string()]
        };
        Ok(request.page(places, position).map(|(place, _)| place))
    }

    /// The releases that hold an image, purged ones included. The digest may be any of
    /// [`image_places`](Self::image_places).
    pub async fn image_holders(
        &self,
        namespace: &str,
        digest: &Digest,
        request: &PageRequest,
    ) -> Result<Page<Holder>, ViewportError> {
        let select = Select::new(HOLDER, [namespace.into(), (*digest).into()]).page(&HOLDERS, request)?;
        let read = |row: &AnyRow| {
            Ok(Holder {
                application: text(row, "application")?,
                version: text(row, "version")?,
                image: text(row, "image")?,
                digest: text(row, "digest")?,
                stored_at: text(row, "stored_at")?,
                stored_by: text(row, "stored_by")?,
                owner: maybe(row, "owner")?,
                metadata: BTreeMap::new(),
            })
        };
        let database = &self.database;
        let mut lease = database.lease().await?;
        let holders = select.fetch_as(database, &mut lease, read).await?;
        let mut page =
            request.page(holders, |one| vec![one.application.clone(), one.version.clone(), one.image.clone()]);
        let releases = page.items.iter().map(|holder| (holder.application.clone(), holder.version.clone()));
        let labels = metadata(database, &mut lease, namespace, releases).await?;
        lease.done();
        for holder in &mut page.items {
            let release = (holder.application.clone(), holder.version.clone());
            holder.metadata = labels.get(&release).cloned().unwrap_or_default();
        }
        Ok(page)
    }
}

/// The digests of the images that go by this one.
pub(super) async fn images_of(
    database: &Database,
    connection: &mut AnyConnection,
    namespace: &str,
    digest: &Digest,
) -> Result<Vec<Value>, ViewportError> {
    let select = "SELECT DISTINCT image_digest FROM image_digests WHERE namespace = ? AND digest = ?";
    let select = Select::new(select, [namespace.into(), (*digest).into()]).ordered("image_digest", SAME_CONTENT);
    let mut images = select.fetch_as(database, connection, |row| Ok(text(row, "image_digest")?.into())).await?;
    // A rendering may run an image that no release of the plane holds.
    images.push((*digest).into());
    Ok(images)
}
