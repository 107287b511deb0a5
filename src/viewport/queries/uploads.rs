//! Who uploaded what.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;

use super::{Select, maybe, metadata, text};
use crate::viewport::{
    Viewport,
    answers::{Page, Upload},
    change::cut,
    error::ViewportError,
    paging::{Direction, Order, PageRequest},
    schema::UPLOADS,
};

const UPLOAD: &str = "SELECT u.application AS application, u.version AS version, u.uploaded_at AS uploaded_at, \
     u.uploaded_by AS uploaded_by, u.source AS source, u.release_digest AS release_digest, \
     u.deleted_at AS deleted_at, r.owner AS owner FROM uploads u JOIN releases r ON r.namespace = u.namespace \
     AND r.application = u.application AND r.version = u.version WHERE u.namespace = ?";

const NEWEST_FIRST: Order =
    Order(&[("u.uploaded_at", Direction::Down), ("u.application", Direction::Up), ("u.version", Direction::Up)]);

impl Viewport {
    /// The uploads of a namespace, or those of one user in it, the newest first.
    pub async fn uploads(
        &self,
        namespace: &str,
        user: Option<&str>,
        request: &PageRequest,
    ) -> Result<Page<Upload>, ViewportError> {
        let mut select = Select::new(UPLOAD, [namespace.into()]);
        if let Some(user) = user {
            let mut user = user.to_owned();
            // As it was when it was stored.
            cut(&mut user, UPLOADS.column("uploaded_by").length.unwrap_or(usize::MAX));
            select = select.and("u.uploaded_by = ?", [user.into()]);
        }
        let select = select.page(&NEWEST_FIRST, request)?;
        let read = |row: &AnyRow| {
            Ok(Upload {
                application: text(row, "application")?,
                version: text(row, "version")?,
                time: text(row, "uploaded_at")?,
                user: text(row, "uploaded_by")?,
                source: text(row, "source")?,
                release: text(row, "release_digest")?,
                owner: maybe(row, "owner")?,
                metadata: BTreeMap::new(),
                deleted_at: maybe(row, "deleted_at")?,
            })
        };
        let database = &self.database;
        let mut lease = database.lease().await?;
        let uploads = select.fetch_as(database, &mut lease, read).await?;
        let mut page =
            request.page(uploads, |one| vec![one.time.clone(), one.application.clone(), one.version.clone()]);
        let releases = page.items.iter().map(|upload| (upload.application.clone(), upload.version.clone()));
        let labels = metadata(database, &mut lease, namespace, releases).await?;
        lease.done();
        for upload in &mut page.items {
            let release = (upload.application.clone(), upload.version.clone());
            upload.metadata = labels.get(&release).cloned().unwrap_or_default();
        }
        Ok(page)
    }
}
