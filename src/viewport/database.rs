//! The database behind the Viewport: MySQL or SQLite, through the same statements.
//!
//! Nothing is connected before it is asked for, and nothing waits for longer than it says: a database that is down or
//! hangs costs whoever asks a few seconds and an error. What differs between the two is [`Dialect`], and no more.

use std::{
    fmt,
    future::Future,
    io,
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    time::Duration,
};

use sqlx::{
    Any, AnyConnection, AnyPool, ConnectOptions, Executor,
    any::{AnyConnectOptions, AnyPoolOptions},
    pool::PoolConnection,
};
use tokio::{sync::OnceCell, time::timeout};
use url::Url;

use super::{error::ViewportError, migrate};

/// The embedded database's name in the data directory.
pub const FILE_NAME: &str = "viewport.db";

/// How long it may take until a connection can be used, its schema included.
const CONNECT: Duration = Duration::from_secs(10);
/// How long one statement may take.
const STATEMENT: Duration = Duration::from_secs(10);

/// What differs between the databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    MySql,
    Sqlite,
}

impl Dialect {
    /// Begins a transaction that writes. SQLite's would otherwise fail where another one writes at the same time.
    pub fn begin(self) -> &'static str {
        match self {
            Self::MySql => "START TRANSACTION",
            Self::Sqlite => "BEGIN IMMEDIATE",
        }
    }

    /// After a SELECT: nobody changes the row until the transaction ends. On SQLite nobody writes then anyway.
    pub fn shared(self) -> &'static str {
        match self {
            Self::MySql => " FOR SHARE",
            Self::Sqlite => "",
        }
    }

    /// After a table in a FROM: the index that leads to its rows. Planners guess how many rows there are, and where they
    /// guess wrong they read a whole namespace for a page.
    pub fn by_index(self, name: &str) -> String {
        match self {
            Self::MySql => format!(" FORCE INDEX ({name})"),
            Self::Sqlite => format!(" INDEXED BY {name}"),
        }
    }

    /// After an INSERT: where the key is taken, these columns get the new values.
    pub fn or_update(self, key: &[&str], columns: &[&str]) -> String {
        let set = |of: fn(&str) -> String| columns.iter().map(|column| of(column)).collect::<Vec<_>>().join(", ");
        match (self, columns) {
            // Setting a column to itself is how MySQL says that all is well as it is.
            (Self::MySql, []) => format!(" ON DUPLICATE KEY UPDATE {0} = {0}", key[0]),
            (Self::MySql, _) => {
                format!(" ON DUPLICATE KEY UPDATE {}", set(|column| format!("{column} = VALUES({column})")))
            }
            (Self::Sqlite, []) => format!(" ON CONFLICT ({}) DO NOTHING", key.join(", ")),
            (Self::Sqlite, _) => {
                let set = set(|column| format!("{column} = excluded.{column}"));
                format!(" ON CONFLICT ({}) DO UPDATE SET {set}", key.join(", "))
            }
        }
    }

    /// What every connection is told first.
    fn session(self) -> &'static [&'static str] {
        match self {
            // Under the default, REPEATABLE READ, two projectors of different applications lock each other's gaps.
            Self::MySql => {
                &["SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET SESSION innodb_lock_wait_timeout = 8"]
            }
            // A rebuild can bring back what a power failure takes: NORMAL is enough, and rows and cursor go together.
            Self::Sqlite => &["PRAGMA busy_timeout = 8000", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL"],
        }
    }
}

/// The database of one plane's Viewport.
pub(super) struct Database {
    pool: AnyPool,
    options: AnyConnectOptions,
    file: Option<PathBuf>,
    name: String,
    plane: String,
    ready: OnceCell<()>,
    pub dialect: Dialect,
}

impl fmt::Debug for Database {
    /// Not the options: there is a password in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("name", &self.name).field("plane", &self.plane).finish_non_exhaustive()
    }
}

impl Database {
    /// A MySQL database. Nothing is connected yet.
    pub fn mysql(plane: &str, url: &str) -> Result<Self, ViewportError> {
        let wrong = |problem: &str| {
            // Never the URL itself: there is a password in it.
            let message = format!("its URL {problem}: it should look like mysql://user:password@host:3306/database");
            ViewportError::Unavailable { database: "MySQL".to_owned(), message }
        };
        let url: Url = url.parse().map_err(|_| wrong("cannot be read"))?;
        if url.scheme() != "mysql" {
            return Err(wrong("does not begin with mysql://"));
        }
        let database = url.path().trim_matches('/');
        if database.is_empty() {
            return Err(wrong("names no database"));
        }
        let host = url.host_str().unwrap_or("localhost");
        let name = format!("MySQL database {database} at {host}:{}", url.port().unwrap_or(3306));
        Self::on(plane, &url, Dialect::MySql, name, None)
    }

    /// The SQLite database in a directory. Nothing is opened yet.
    pub fn sqlite(plane: &str, directory: &Path) -> Result<Self, ViewportError> {
        let path = directory.join(FILE_NAME);
        let name = format!("SQLite database {}", path.display());
        let unusable = |message: String| ViewportError::Unavailable { database: name.clone(), message };
        let absolute = std::path::absolute(&path).map_err(|error| unusable(error.to_string()))?;
        let file =
            Url::from_file_path(&absolute).map_err(|()| unusable("its path cannot be written as a URL".into()))?;
        let url: Url = format!("sqlite://{}", file.path())
            .parse()
            .map_err(|error: url::ParseError| unusable(error.to_string()))?;
        Self::on(plane, &url, Dialect::Sqlite, name, Some(absolute))
    }

    fn on(
        plane: &str,
        url: &Url,
        dialect: Dialect,
        name: String,
        file: Option<PathBuf>,
    ) -> Result<Self, ViewportError> {
        sqlx::any::install_default_drivers();
        let options = AnyConnectOptions::from_url(url)
            .map_err(|error| ViewportError::Unavailable { database: name.clone(), message: error.to_string() })?;
        let pool = AnyPoolOptions::new()
            .max_connections(8)
            .acquire_timeout(CONNECT)
            // A file's connection does not go dead meanwhile, as a server's may.
            .test_before_acquire(dialect == Dialect::MySql)
            .after_connect(move |connection, _| Box::pin(begin_session(connection, dialect)))
            .connect_lazy_with(options.clone());
        Ok(Self { pool, options, file, name, plane: plane.to_owned(), ready: OnceCell::new(), dialect })
    }

    /// Which database it is, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose it is.
    pub fn plane(&self) -> &str {
        &self.plane
    }

    /// A connection to a database whose schema is up to date and which is this plane's.
    pub async fn lease(&self) -> Result<Lease, ViewportError> {
        let ready = async {
            self.ready.get_or_try_init(|| migrate::prepare(self)).await?;
            self.pool.acquire().await.map_err(|error| self.failed(&error))
        };
        match timeout(CONNECT, ready).await {
            Ok(connection) => Ok(Lease { connection: Some(connection?), clean: false }),
            Err(_) => Err(self.unavailable(format!("no connection within {} s", CONNECT.as_secs()))),
        }
    }

    /// A connection outside the pool, ended with all it holds as soon as it is dropped.
    pub async fn connect(&self) -> Result<AnyConnection, ViewportError> {
        let connect = async {
            let mut connection = self.options.connect().await?;
            begin_session(&mut connection, self.dialect).await?;
            Ok(connection)
        };
        self.run(connect).await
    }

    /// The embedded database's file.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Waits for a statement, but not for ever.
    pub async fn run<T>(&self, statement: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, ViewportError> {
        bounded(statement).await.map_err(|error| self.failed(&error))
    }

    pub fn failed(&self, error: &sqlx::Error) -> ViewportError {
        self.unavailable(error.to_string())
    }

    pub fn unavailable(&self, message: impl Into<String>) -> ViewportError {
        ViewportError::Unavailable { database: self.name.clone(), message: message.into() }
    }
}

/// Waits for a statement, but not for ever.
pub(super) async fn bounded<T>(statement: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let late = |_| {
        let message = format!("no answer within {} s", STATEMENT.as_secs());
        sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, message))
    };
    timeout(STATEMENT, statement).await.map_err(late)?
}

async fn begin_session(connection: &mut AnyConnection, dialect: Dialect) -> Result<(), sqlx::Error> {
    for statement in dialect.session() {
        connection.execute(*statement).await?;
    }
    Ok(())
}

/// A connection of the pool. Only one that is [`done`](Self::done) goes back: what was interrupted or has failed is
/// closed, so that no later statement finds the rest of an earlier one, and a server that hangs keeps no connection.
pub(super) struct Lease {
    connection: Option<PoolConnection<Any>>,
    clean: bool,
}

impl Lease {
    /// All went well.
    pub fn done(mut self) {
        self.clean = true;
    }
}

const TAKEN: &str = "a lease holds its connection until it is dropped";

impl Deref for Lease {
    type Target = AnyConnection;

    fn deref(&self) -> &AnyConnection {
        self.connection.as_ref().expect(TAKEN)
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut AnyConnection {
        self.connection.as_mut().expect(TAKEN)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|_| !self.clean) {
            drop(connection.detach());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_url_is_told_without_its_password() {
        for url in ["mysql://orbit:secret@[", "postgres://orbit:secret@db/orbit", "mysql://orbit:secret@db"] {
            let error = Database::mysql("orbit", url).unwrap_err().to_string();
            assert!(!error.contains("secret") && error.contains("mysql://user:password@"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_password_is_in_no_log() {
        let database = Database::mysql("orbit", "mysql://orbit:secret@db:3307/orbit").unwrap();
        let printed = format!("{database:?}");
        assert!(printed.contains("MySQL database orbit at db:3307") && !printed.contains("secret"), "{printed}");
    }

    #[test]
    fn an_update_names_the_columns_that_are_no_key() {
        assert_eq!(Dialect::MySql.or_update(&["a"], &["b"]), " ON DUPLICATE KEY UPDATE b = VALUES(b)");
        assert_eq!(Dialect::MySql.or_update(&["a"], &[]), " ON DUPLICATE KEY UPDATE a = a");
        assert_eq!(Dialect::Sqlite.or_update(&["a", "b"], &["c"]), " ON CONFLICT (a, b) DO UPDATE SET c = excluded.c");
        assert_eq!(Dialect::Sqlite.or_update(&["a"], &[]), " ON CONFLICT (a) DO NOTHING");
    }
}
