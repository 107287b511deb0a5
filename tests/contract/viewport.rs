//! The Viewport contract: SQLite and MySQL.

mod answers;
mod command;
mod crowded;
mod down;
mod faithful;
mod killed;
mod reports;
mod story;

use std::{sync::Arc, time::Duration};

use orbit_plane::{
    chart_store::{ChartStore, Entry, Fact, SqliteTable},
    release::ApplicationKey,
    settings::StoreSettings,
    viewport::{self, Projector, Viewport},
};
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};

/// A journal, and a Viewport of it that has nothing yet.
pub struct Under {
    pub store: ChartStore,
    pub viewport: Viewport,
    pub settings: StoreSettings,
    _directory: tempfile::TempDir,
}

impl Under {
    async fn with(mysql_url: Option<String>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings =
            StoreSettings { data_dir: Some(directory.path().to_owned()), mysql_url, ..StoreSettings::default() };
        let table = SqliteTable::open(directory.path()).await.unwrap();
        let store = ChartStore::on("orbit", Arc::new(table)).unwrap();
        let viewport = viewport::open(&settings).unwrap();
        Self { store, viewport, settings, _directory: directory }
    }

    /// Another Viewport on the same database, as another process would have it.
    pub fn another(&self) -> Viewport {
        viewport::open(&self.settings).unwrap()
    }

    pub async fn record(&self, key: &ApplicationKey, entries: impl IntoIterator<Item = (&'static str, Fact)>) {
        for (actor, fact) in entries {
            let entry = Entry { actor: actor.into(), fact, spec: None, chart_package: None };
            self.store.record(key, entry).await.unwrap();
        }
    }

    pub fn projector(&self) -> Projector {
        Projector::new(self.store.clone(), self.viewport.clone())
    }

    pub async fn catch_up(&self) {
        self.projector().catch_up().await.unwrap();
    }

    pub async fn assert_faithful(&self) {
        assert_eq!(viewport::verify(&self.store, &self.viewport, Duration::ZERO).await.unwrap(), []);
    }

    /// A connection past the Viewport.
    pub async fn connect(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        let file = || format!("sqlite://{}", self.settings.data_dir().join("viewport.db").display());
        let url = self.settings.mysql_url.clone().unwrap_or_else(file);
        AnyConnection::connect(&url).await.unwrap()
    }

    /// Statements of somebody who has no business here.
    pub async fn tamper(&self, statements: &[&str]) {
        let mut connection = self.connect().await;
        for statement in statements {
            connection.execute(AssertSqlSafe((*statement).to_owned())).await.unwrap();
        }
    }
}

async fn sqlite() -> Under {
    Under::with(None).await
}

/// A database of its own for every test.
async fn mysql() -> Under {
    Under::with(Some(mysql_database().await)).await
}

/// The URL of a database that was just made.
pub async fn mysql_database() -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    sqlx::any::install_default_drivers();
    let url = std::env::var("ORBIT_TEST_MYSQL_URL")
        .expect("ORBIT_TEST_MYSQL_URL is not set: start the stores and `eval \"$(testbed env)\"`");
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    let mut connection = AnyConnection::connect(&url).await.unwrap();
    connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    let mut url: url::Url = url.parse().unwrap();
    url.set_path(&name);
    url.to_string()
}

macro_rules! contract {
    ($($module:ident::$name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test] async fn $name() { super::$module::$name(super::sqlite().await).await; })*
        }
        mod on_mysql {
            $(#[tokio::test] async fn $name() { super::$module::$name(super::mysql().await).await; })*
        }
    };
}

contract!(
    answers::the_history_of_an_application,
    answers::where_an_image_is,
    answers::what_is_in_an_environment,
    answers::who_uploaded_what,
    answers::what_runs_in_which_cluster,
    answers::which_version_is_where,
    answers::who_did_what,
    answers::who_asked_for_what_and_changed_which_spec,
    answers::pages_are_the_whole_list,
    faithful::events_are_projected_once_and_in_order,
    faithful::what_the_database_refuses_leaves_nothing,
    faithful::several_applications_move_on_together_or_not_at_all,
    faithful::what_is_recorded_before_the_end_is_there_after_it,
    faithful::one_application_holds_up_no_other,
    faithful::an_interrupted_pass_leaves_neither_gap_nor_duplicate,
    faithful::racing_projectors_leave_one_history,
    faithful::a_rebuilt_viewport_equals_the_old_one,
    faithful::rebuilding_while_others_project_leaves_one_history,
    faithful::texts_longer_than_their_columns_are_cut,
    faithful::what_a_newer_program_records_is_kept,
    faithful::an_older_projection_is_made_anew_and_a_newer_one_left_alone,
    faithful::an_older_schema_is_brought_up_to_date,
    faithful::tampering_is_found,
    faithful::what_is_a_moment_behind_is_waited_for,
    faithful::another_planes_database_is_refused,
    faithful::the_first_uses_may_come_all_at_once,
    killed::a_process_killed_after_any_write_is_made_good_by_the_next,
    command::the_viewport_is_looked_after,
    command::the_lifecycle_is_shown,
    command::the_audit_is_proven_and_exported,
    reports::how_deliveries_go,
    crowded::every_first_page_comes_at_once,
);
