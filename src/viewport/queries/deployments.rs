//! What runs in which cluster, and what did.

use std::collections::BTreeMap;

use sqlx::{AnyConnection, Row, any::AnyRow};

use super::{Select, images::images_of, maybe, number, text};
use crate::{
    digest::Digest,
    release::{ApplicationKey, ClusterRef},
    viewport::{
        Viewport,
        answers::{Deployment, Page},
        change::Value,
        database::Database,
        error::ViewportError,
        paging::{Direction, Order, PageRequest},
    },
};

/// The columns of a deployment `d`.
const COLUMNS: &str = "d.application AS application, d.environment AS environment, \
     d.cluster_namespace AS cluster_namespace, d.cluster_name AS cluster_name, d.cluster_uid AS cluster_uid, \
     d.attempt AS attempt, d.version AS version, d.artifact AS artifact, d.state AS state, d.since AS since, \
     d.detail AS detail, d.is_current AS is_current, d.is_running AS is_running, d.requested_at AS requested_at, \
     d.applied_at AS applied_at, d.healthy_at AS healthy_at, d.degraded_at AS degraded_at, d.failed_at AS failed_at, \
     d.ended_at AS ended_at";

/// The deployments that run one image.
const OF_IMAGE: &str = "SELECT namespace, application, environment, cluster_namespace, cluster_name, cluster_uid, attempt \
     FROM deployment_images WHERE namespace = ? AND digest = ?";

const JOIN: &str = "JOIN deployments d ON d.namespace = i.namespace AND d.application = i.application \
     AND d.environment = i.environment AND d.cluster_namespace = i.cluster_namespace \
     AND d.cluster_name = i.cluster_name AND d.cluster_uid = i.cluster_uid AND d.attempt = i.attempt";

const BY_APPLICATION: Order = Order(&[
    ("i.application", Direction::Up),
    ("i.environment", Direction::Up),
    ("i.cluster_namespace", Direction::Up),
    ("i.cluster_name", Direction::Up),
    ("i.cluster_uid", Direction::Up),
    ("i.attempt", Direction::Up),
]);

const BY_CLUSTER: [(&str, Direction); 6] = [
    ("d.cluster_namespace", Direction::Up),
    ("d.cluster_name", Direction::Up),
    ("d.cluster_uid", Direction::Up),
    ("d.application", Direction::Up),
    ("d.environment", Direction::Up),
    ("d.attempt", Direction::Up),
];

/// The most places of one application whose deployments are told at once.
const PLACES: usize = 2000;

/// Which clusters are asked for; all of them where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clusters {
    /// Namespace and name. Several clusters may have had them, one after the other.
    pub name: Option<(String, String)>,
    /// The UID of the cluster's `kube-system`.
    pub uid: Option<String>,
}

impl Clusters {
    /// How many columns of [`BY_CLUSTER`], from the first, are the same in all that is asked for: a page that went on
    /// from a value of theirs would be entered there instead of at the cluster.
    fn fixed(&self) -> usize {
        match (&self.name, &self.uid) {
            (Some(_), Some(_)) => 3,
            (Some(_), None) => 2,
            (None, _) => 0,
        }
    }

    fn order(&self) -> Order {
        Order(&BY_CLUSTER[self.fixed()..])
    }
}

impl Viewport {
    /// Where an image runs: the deployments whose objects are in their clusters; or, with `ever`, all that were asked
    /// for. The digest may be any of [`image_places`](Self::image_places).
    pub async fn image_deployments(
        &self,
        namespace: &str,
        digest: &Digest,
        ever: bool,
        request: &PageRequest,
    ) -> Result<Page<Deployment>, ViewportError> {
        let database = &self.database;
        let mut lease = database.lease().await?;
        let images = images_of(database, &mut lease, namespace, digest).await?;
        let select = of_images(namespace, images, ever).page(&BY_APPLICATION, request)?;
        let rows = select.fetch_as(database, &mut lease, read).await?;
        let mut page = request.page(rows, |one| {
            let ClusterRef { namespace, name, uid } = one.cluster.clone();
            vec![one.application.clone(), one.environment.clone(), namespace, name, uid, one.attempt.to_string()]
        });
        complete(database, &mut lease, namespace, &mut page.items).await?;
        lease.done();
        Ok(page)
    }

    /// What a namespace's applications run in clusters, cluster by cluster: what is there or on its way; or, with
    /// `ever`, all that was. Of a cluster that is gone only that is left.
    pub async fn cluster_deployments(
        &self,
        namespace: &str,
        clusters: &Clusters,
        ever: bool,
        request: &PageRequest,
    ) -> Result<Page<Deployment>, ViewportError> {
        let select = in_clusters(namespace, clusters, ever).page(&clusters.order(), request)?;
        let database = &self.database;
        let mut lease = database.lease().await?;
        let rows = select.fetch_as(database, &mut lease, read).await?;
        let mut page = request.page(rows, |one| {
            let ClusterRef { namespace, name, uid } = one.cluster.clone();
            let position =
                [namespace, name, uid, one.application.clone(), one.environment.clone(), one.attempt.to_string()];
            position[clusters.fixed()..].to_vec()
        });
        complete(database, &mut lease, namespace, &mut page.items).await?;
        lease.done();
        Ok(page)
    }
}

/// One deployment may run several of the images. Each is looked up by itself: of a list of digests planners make a walk
/// through the whole namespace, in the order that is asked for.
fn of_images(namespace: &str, images: Vec<Value>, ever: bool) -> Select {
    let of_each = vec![OF_IMAGE; images.len()].join(" UNION ");
    let all = format!("SELECT {COLUMNS} FROM ({of_each}) i {JOIN} WHERE i.namespace = ?");
    let values = images.into_iter().flat_map(|image| [namespace.into(), image]).chain([namespace.into()]);
    let select = Select::new(&all, values);
    if ever { select } else { select.and("d.is_running = 1", []) }
}

fn in_clusters(namespace: &str, clusters: &Clusters, ever: bool) -> Select {
    let all = format!("SELECT {COLUMNS} FROM deployments d WHERE d.namespace = ?");
    let mut select = Select::new(&all, [namespace.into()]);
    if let Some((namespace, name)) = &clusters.name {
        let name = [namespace.as_str().into(), name.as_str().into()];
        select = select.and("d.cluster_namespace = ? AND d.cluster_name = ?", name);
    }
    if let Some(uid) = &clusters.uid {
        select = select.and("d.cluster_uid = ?", [uid.as_str().into()]);
    }
    if ever { select } else { select.and("d.ended_at IS NULL", []) }
}

fn of_application(key: &ApplicationKey, version: Option<&str>, which: &str) -> Select {
    let all = format!("SELECT {COLUMNS} FROM deployments d WHERE d.namespace = ? AND d.application = ?");
    let select = Select::new(&all, [key.namespace.as_str().into(), key.application.as_str().into()]).and(which, []);
    let select = match version {
        Some(version) => select.and("d.version = ?", [version.into()]),
        None => select,
    };
    // As the index has it, which is entered for its order, too.
    let order = "d.is_running, d.environment, d.cluster_namespace, d.cluster_name, d.cluster_uid, d.attempt";
    select.ordered(order, PLACES)
}

const CURRENT: &str = "d.is_current = 1";
const RUNNING_UNTIL_THEN: &str = "d.is_current = 0 AND d.is_running = 1";

/// How each place of an application stands: the attempt that is current there, and the one that runs until it does.
/// Those that are gone are told as they ended.
pub(super) async fn standing(
    database: &Database,
    connection: &mut AnyConnection,
    key: &ApplicationKey,
    version: Option<&str>,
) -> Result<Vec<Deployment>, ViewportError> {
    let mut rows = of_application(key, version, CURRENT).fetch_as(database, connection, read).await?;
    let running = of_application(key, version, RUNNING_UNTIL_THEN);
    rows.extend(running.fetch_as(database, connection, read).await?);
    let place = |one: &Deployment| (one.environment.clone(), one.cluster.clone(), one.attempt);
    rows.sort_by_cached_key(place);
    complete(database, connection, &key.namespace, &mut rows).await?;
    Ok(rows)
}

fn read(row: &AnyRow) -> Result<Deployment, sqlx::Error> {
    let is = |column| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(column)? == Some(1));
    Ok(Deployment {
        application: text(row, "application")?,
        environment: text(row, "environment")?,
        cluster: ClusterRef::new(
            text(row, "cluster_namespace")?,
            text(row, "cluster_name")?,
            text(row, "cluster_uid")?,
        ),
        attempt: number(row, "attempt")?,
        version: maybe(row, "version")?,
        artifact: text(row, "artifact")?,
        images: Vec::new(),
        state: text(row, "state")?,
        since: text(row, "since")?,
        detail: maybe(row, "detail")?,
        current: is("is_current")?,
        running: is("is_running")?,
        requested_at: maybe(row, "requested_at")?,
        applied_at: maybe(row, "applied_at")?,
        healthy_at: maybe(row, "healthy_at")?,
        degraded_at: maybe(row, "degraded_at")?,
        failed_at: maybe(row, "failed_at")?,
        ended_at: maybe(row, "ended_at")?,
    })
}

/// Adds the images.
async fn complete(
    database: &Database,
    connection: &mut AnyConnection,
    namespace: &str,
    deployments: &mut [Deployment],
) -> Result<(), ViewportError> {
    /// Rows that one statement asks for: what planners and databases bear.
    const AT_ONCE: usize = 200;
    let mut found = BTreeMap::<_, Vec<String>>::new();
    for batch in deployments.chunks(AT_ONCE) {
        let wanted = batch.iter().map(|one| {
            let ClusterRef { namespace: cluster_namespace, name, uid } = &one.cluster;
            let texts = [namespace, &one.application, &one.environment, cluster_namespace, name, uid];
            let [namespace, application, environment, cluster_namespace, name, uid] = texts.map(Value::from);
            [namespace, application, environment, cluster_namespace, name, uid, one.attempt.into()]
        });
        let mut select = Select::one_of(
            "SELECT application, environment, cluster_namespace, cluster_name, cluster_uid, attempt, digest \
             FROM deployment_images",
            ["namespace", "application", "environment", "cluster_namespace", "cluster_name", "cluster_uid", "attempt"],
            wanted,
        );
        select.sql.push_str(" ORDER BY digest");
        let read = |row: &AnyRow| {
            let cluster =
                ClusterRef::new(text(row, "cluster_namespace")?, text(row, "cluster_name")?, text(row, "cluster_uid")?);
            let place = (text(row, "application")?, text(row, "environment")?, cluster, number(row, "attempt")?);
            Ok((place, text(row, "digest")?))
        };
        for (place, digest) in select.fetch_as(database, connection, read).await? {
            found.entry(place).or_default().push(digest);
        }
    }
    for one in deployments {
        let place = (one.application.clone(), one.environment.clone(), one.cluster.clone(), one.attempt);
        one.images = found.remove(&place).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{settings::StoreSettings, viewport};

    #[tokio::test]
    async fn every_answer_begins_where_an_index_leads() {
        let directory = tempfile::tempdir().unwrap();
        let settings = StoreSettings { data_dir: Some(directory.path().to_owned()), ..StoreSettings::default() };
        let viewport = viewport::open(&settings).unwrap();
        let named = |uid: Option<&str>| Clusters {
            name: Some(("fleet".to_owned(), "eu-1".to_owned())),
            uid: uid.map(str::to_owned),
        };
        let by_uid = Clusters { name: None, uid: Some("7b0c".to_owned()) };
        let first = PageRequest::default();
        // Any page but the first has to begin in the middle.
        let later = |select: Select, order: Order| {
            let position = ["fleet", "eu-1", "7b0c", "web", "prod", "3"].map(str::to_owned);
            let (condition, values) = order.beyond(&position[6 - order.0.len()..]);
            select.and(&condition, values.into_iter().map(Value::from)).page(&order, &first).unwrap()
        };
        let clusters = |clusters: Clusters, ever| later(in_clusters("shop", &clusters, ever), clusters.order());
        let image = |digests: usize| {
            let digests = (0..digests).map(|digest| format!("sha256:{digest}").into()).collect();
            of_images("shop", digests, false).page(&BY_APPLICATION, &first).unwrap()
        };
        let key = ApplicationKey::new("shop", "web");
        for (select, enters, sorts) in [
            (
                clusters(Clusters::default(), false),
                "deployments_in_clusters_now (namespace=? AND ended_at=? AND cluster_namespace>?",
                false,
            ),
            (clusters(Clusters::default(), true), "deployments_by_cluster (namespace=? AND cluster_namespace>?", false),
            (clusters(named(None), false), "AND cluster_namespace=? AND cluster_name=? AND cluster_uid>?", false),
            (
                clusters(named(None), true),
                "deployments_by_cluster (namespace=? AND cluster_namespace=? AND cluster_name=? AND cluster_uid>?",
                false,
            ),
            (clusters(named(Some("7b0c")), true), "cluster_uid=?", false),
            (clusters(by_uid.clone(), true), "deployments_by_uid (namespace=? AND cluster_uid=?", false),
            (clusters(by_uid, false), "cluster_uid=?", false),
            (image(1), "deployment_images_1 (namespace=? AND digest=?)", false),
            // What runs several images that go by one digest is put in order, page by page.
            (image(2), "deployment_images_1 (namespace=? AND digest=?)", true),
            (
                of_application(&key, None, CURRENT),
                "deployments_now (namespace=? AND application=? AND is_current=?",
                false,
            ),
            (
                of_application(&key, Some("1.4.0"), RUNNING_UNTIL_THEN),
                "deployments_now (namespace=? AND application=? AND is_current=? AND is_running=?",
                false,
            ),
        ] {
            let plan = select.plan(&viewport.database).await;
            assert!(plan.contains(enters) && !plan.contains("SCAN deployment"), "{enters}\n{plan}");
            assert_eq!(plan.contains("ORDER BY"), sorts, "{enters}\n{plan}");
        }
    }
}
