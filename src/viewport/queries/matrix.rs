//! Which version of each application is in which environment and cluster: a page in one statement.

use sqlx::any::AnyRow;

use super::{Select, maybe, text};
use crate::{
    release::ClusterRef,
    viewport::{
        Viewport,
        answers::{Application, ApplicationEnvironment, Page, Standing},
        database::Dialect,
        error::ViewportError,
        paging::{Direction, Order, PageRequest},
    },
};

/// The page's applications. They are chosen before anything is joined to them, so that a page costs what it shows.
const APPLICATIONS: &str = "SELECT namespace, application FROM applications WHERE namespace = ?";

const BY_NAME: Order = Order(&[("application", Direction::Up)]);

const COLUMNS: &str = "a.application AS application, l.last_version AS last_version, r.owner AS owner, \
     e.environment AS environment, e.version AS selected, e.artifact AS artifact, \
     d.cluster_namespace AS cluster_namespace, d.cluster_name AS cluster_name, d.cluster_uid AS cluster_uid, \
     d.version AS version, d.state AS state, d.since AS since";

/// A place that was cleaned up is no longer one; a cluster that was lost is told.
const JOINS: &str = "LEFT JOIN applications l ON l.namespace = a.namespace AND l.application = a.application \
     LEFT JOIN releases r ON r.namespace = a.namespace AND r.application = a.application \
     AND r.version = l.last_version \
     LEFT JOIN environments e ON e.namespace = a.namespace AND e.application = a.application \
     AND e.removed_at IS NULL \
     LEFT JOIN deployments d ON d.namespace = e.namespace AND d.application = e.application \
     AND d.environment = e.environment AND d.is_current = 1 AND d.state <> 'removed'";

const IN_ORDER: &str = "a.application, e.environment, d.cluster_namespace, d.cluster_name, d.cluster_uid";

/// What escapes what would stand for anything.
const ESCAPE: char = '!';

/// Which part of the matrix; all of it where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MatrixFilter {
    /// Applications whose names contain this.
    pub search: Option<String>,
    /// Applications that are in this environment, and of them no other environment.
    pub environment: Option<String>,
}

impl Viewport {
    /// The applications of a namespace, and which version of them is where.
    pub async fn matrix(
        &self,
        namespace: &str,
        filter: &MatrixFilter,
        request: &PageRequest,
    ) -> Result<Page<Application>, ViewportError> {
        let database = &self.database;
        let select = select(database.dialect, namespace, filter, request)?;
        let mut lease = database.lease().await?;
        let rows = select.fetch_as(database, &mut lease, read).await?;
        lease.done();
        Ok(request.page(gather(rows), |application| vec![application.application.clone()]))
    }
}

fn select(
    dialect: Dialect,
    namespace: &str,
    filter: &MatrixFilter,
    request: &PageRequest,
) -> Result<Select, ViewportError> {
    let mut applications = match &filter.environment {
        Some(environment) => in_environment(dialect, namespace, environment),
        None => Select::new(APPLICATIONS, [namespace.into()]),
    };
    if let Some(search) = &filter.search {
        let condition = format!("application LIKE ? ESCAPE '{ESCAPE}'");
        applications = applications.and(&condition, [containing(search).into()]);
    }
    let Select { sql, values } = applications.page(&BY_NAME, request)?;
    let shown = Select { sql: format!("SELECT {COLUMNS} FROM ({sql}) a {JOINS} WHERE 1 = 1"), values };
    let mut shown = match &filter.environment {
        Some(environment) => shown.and("e.environment = ?", [environment.as_str().into()]),
        None => shown,
    };
    shown.sql.push_str(&format!(" ORDER BY {IN_ORDER}"));
    Ok(shown)
}

/// The applications that are in an environment.
fn in_environment(dialect: Dialect, namespace: &str, environment: &str) -> Select {
    let by_name = dialect.by_index("environments_by_name");
    let all = format!(
        "SELECT namespace, application FROM environments{by_name} WHERE namespace = ? AND environment = ? \
         AND removed_at IS NULL"
    );
    Select::new(&all, [namespace.into(), environment.into()])
}

/// What LIKE takes for "this is in it". Names are in lower case.
fn containing(search: &str) -> String {
    let mut pattern = String::from("%");
    for character in search.to_lowercase().chars() {
        if matches!(character, '%' | '_' | ESCAPE) {
            pattern.push(ESCAPE);
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// A row: an application with, where it has any, one of its environments, and where that is anywhere, one of its places.
struct Row {
    application: String,
    latest: Option<String>,
    owner: Option<String>,
    environment: Option<(String, Option<String>, Option<String>)>,
    standing: Option<Standing>,
}

fn read(row: &AnyRow) -> Result<Row, sqlx::Error> {
    let environment = match maybe(row, "environment")? {
        Some(name) => Some((name, maybe(row, "selected")?, maybe(row, "artifact")?)),
        None => None,
    };
    let standing = match maybe(row, "cluster_name")? {
        Some(name) => Some(Standing {
            cluster: ClusterRef::new(text(row, "cluster_namespace")?, name, text(row, "cluster_uid")?),
            state: text(row, "state")?,
            version: maybe(row, "version")?,
            since: text(row, "since")?,
        }),
        None => None,
    };
    Ok(Row {
        application: text(row, "application")?,
        latest: maybe(row, "last_version")?,
        owner: maybe(row, "owner")?,
        environment,
        standing,
    })
}

/// Rows in order, application by application.
fn gather(rows: Vec<Row>) -> Vec<Application> {
    let mut applications: Vec<Application> = Vec::new();
    for Row { application, latest, owner, environment, standing } in rows {
        if applications.last().is_none_or(|last| last.application != application) {
            applications.push(Application { application, environments: Vec::new(), latest, owner });
        }
        let Some(environments) = applications.last_mut().map(|last| &mut last.environments) else { continue };
        let Some((environment, version, artifact)) = environment else { continue };
        if environments.last().is_none_or(|last| last.environment != environment) {
            environments.push(ApplicationEnvironment { environment, version, artifact, clusters: Vec::new() });
        }
        if let Some(last) = environments.last_mut() {
            last.clusters.extend(standing);
        }
    }
    applications
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{settings::StoreSettings, viewport};

    #[test]
    fn what_is_searched_for_is_taken_literally() {
        assert_eq!(containing("Web"), "%web%");
        assert_eq!(containing("a_b%c!"), "%a!_b!%c!!%");
    }

    #[test]
    fn rows_become_applications() {
        let standing = |name: &str| {
            let cluster = ClusterRef::new("fleet", name, "uid");
            Some(Standing { cluster, state: "healthy".into(), version: Some("1.0.0".into()), since: "t".into() })
        };
        let row = |application: &str, environment: Option<&str>, standing: Option<Standing>| Row {
            application: application.into(),
            latest: None,
            owner: None,
            environment: environment.map(|name| (name.to_owned(), Some("1.0.0".to_owned()), None)),
            standing,
        };
        let gathered = gather(vec![
            row("api", None, None),
            row("web", Some("dev"), None),
            row("web", Some("prod"), standing("eu-1")),
            row("web", Some("prod"), standing("us-1")),
            row("worker", Some("prod"), standing("eu-1")),
        ]);
        let said: Vec<String> = gathered
            .iter()
            .map(|one| {
                let environments =
                    one.environments.iter().map(|it| format!("{} in {}", it.environment, it.clusters.len()));
                format!("{}: {}", one.application, environments.collect::<Vec<_>>().join(", "))
            })
            .collect();
        assert_eq!(said, ["api: ", "web: dev in 0, prod in 2", "worker: prod in 1"]);
    }

    #[tokio::test]
    async fn every_page_begins_where_an_index_leads() {
        let directory = tempfile::tempdir().unwrap();
        let settings = StoreSettings { data_dir: Some(directory.path().to_owned()), ..StoreSettings::default() };
        let viewport = viewport::open(&settings).unwrap();
        let request = PageRequest::default();
        let later = request.page(vec!["web"; 51], |name| vec![(*name).to_owned()]).next;
        let request = PageRequest { after: later, ..request };
        let of = |search: Option<&str>, environment: Option<&str>| MatrixFilter {
            search: search.map(str::to_owned),
            environment: environment.map(str::to_owned),
        };
        for filter in [of(None, None), of(Some("web"), None), of(None, Some("prod")), of(Some("web"), Some("prod"))] {
            let plan = select(Dialect::Sqlite, "shop", &filter, &request).unwrap().plan(&viewport.database).await;
            let chosen = match filter.environment {
                Some(_) => "environments_by_name (namespace=? AND environment=? AND application>?)",
                None => {
                    "SEARCH applications USING COVERING INDEX sqlite_autoindex_applications_1 \
                     (namespace=? AND application>?)"
                }
            };
            for enters in [
                chosen,
                "SEARCH l USING INDEX sqlite_autoindex_applications_1 (namespace=? AND application=?)",
                "SEARCH e USING INDEX",
                "SEARCH d USING INDEX",
                "SEARCH r USING INDEX sqlite_autoindex_releases_1 (namespace=? AND application=? AND version=?)",
            ] {
                assert!(plan.contains(enters), "{enters}\n{plan}");
            }
        }
    }
}
