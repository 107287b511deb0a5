//! The two store sets that a plane can have, each new and empty.

use std::{net::SocketAddr, path::Path};

use orbit_plane::settings::StoreSettings;
use sqlx::Connection;
use tokio::process::Command;
use url::Url;

use super::line::Line;

/// Which stores a plane has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stores {
    /// An OCI image layout and SQLite in one directory.
    Embedded,
    /// S3, DynamoDB's protocol and MySQL: the real servers that `testbed stores up` started.
    Servers,
    /// The same, each behind a [`Line`].
    ServersOnLines,
}

/// The lines to a plane's stores, where there are any.
#[derive(Default)]
pub struct Surroundings {
    pub s3: Option<Line>,
    pub dynamodb: Option<Line>,
    pub mysql: Option<Line>,
}

impl Stores {
    pub(super) async fn make(self, folder: &Path) -> (StoreSettings, Surroundings) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut settings = StoreSettings { data_dir: Some(folder.join("data")), ..Default::default() };
        if self == Self::Embedded {
            return (settings, Surroundings::default());
        }
        let id = uuid::Uuid::new_v4().simple().to_string();
        settings.plane = Some(format!("test-{id}"));
        settings.s3_bucket = Some(variable("ORBIT_TEST_S3_BUCKET"));
        settings.s3_endpoint = Some(variable("ORBIT_TEST_S3_ENDPOINT").parse().unwrap());
        settings.dynamodb_table = Some(format!("test-{id}"));
        settings.dynamodb_endpoint = Some(variable("ORBIT_TEST_DYNAMODB_ENDPOINT").parse().unwrap());
        settings.mysql_url = Some(new_database(&format!("test_{id}")).await);
        let mut surroundings = Surroundings::default();
        if self == Self::ServersOnLines {
            surroundings.s3 = Some(Line::to(address(&settings.s3_endpoint)).await);
            surroundings.dynamodb = Some(Line::to(address(&settings.dynamodb_endpoint)).await);
            surroundings.mysql = Some(Line::to(address(&mysql(&settings))).await);
        }
        (settings, surroundings)
    }
}

impl Surroundings {
    /// Tells a command where the stores are, at the near ends of the lines.
    pub(super) fn give(&self, settings: &StoreSettings, command: &mut Command) {
        let near = |url: &Option<Url>, line: &Option<Line>| match line {
            Some(line) => url.clone().map(|mut url| {
                url.set_ip_host(line.address.ip()).and_then(|()| url.set_port(Some(line.address.port()))).unwrap();
                url
            }),
            None => url.clone(),
        };
        let settings = StoreSettings {
            s3_endpoint: near(&settings.s3_endpoint, &self.s3),
            dynamodb_endpoint: near(&settings.dynamodb_endpoint, &self.dynamodb),
            mysql_url: near(&mysql(settings), &self.mysql).map(String::from),
            ..settings.clone()
        };
        self.give_direct(&settings, command);
    }

    /// Tells a command where the stores themselves are.
    pub(super) fn give_direct(&self, settings: &StoreSettings, command: &mut Command) {
        for (name, value) in [
            ("ORBIT_DATA_DIR", settings.data_dir.as_ref().map(|path| path.display().to_string())),
            ("ORBIT_PLANE", settings.plane.clone()),
            ("ORBIT_S3_BUCKET", settings.s3_bucket.clone()),
            ("ORBIT_S3_ENDPOINT", settings.s3_endpoint.as_ref().map(Url::to_string)),
            ("ORBIT_DYNAMODB_TABLE", settings.dynamodb_table.clone()),
            ("ORBIT_DYNAMODB_ENDPOINT", settings.dynamodb_endpoint.as_ref().map(Url::to_string)),
            ("ORBIT_MYSQL_URL", settings.mysql_url.clone()),
        ] {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
    }
}

fn mysql(settings: &StoreSettings) -> Option<Url> {
    settings.mysql_url.as_ref().map(|url| url.parse().unwrap())
}

fn address(url: &Option<Url>) -> SocketAddr {
    url.as_ref().and_then(|url| url.socket_addrs(|| None).unwrap().first().copied()).expect("a server has an address")
}

/// A MySQL database of the test's own; its URL.
async fn new_database(name: &str) -> String {
    let mut url: Url = variable("ORBIT_TEST_MYSQL_URL").parse().unwrap();
    let mut connection = sqlx::MySqlConnection::connect(url.as_str()).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::query(create).execute(&mut connection).await.unwrap();
    url.set_path(name);
    url.to_string()
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: start the stores and `eval \"$(testbed env)\"`"))
}
