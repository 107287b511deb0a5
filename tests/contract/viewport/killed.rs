//! A process that dies, by its own hand, right after any of its writes.

use std::{process::Output, time::Duration};

use orbit_plane::{release::ApplicationKey, settings::StoreSettings, viewport};
use pretty_assertions::assert_eq;
use tokio::process::Command;

use super::{Under, story::*};

/// `orbit` on the stores of a test.
pub fn orbit(settings: &StoreSettings) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orbit"));
    command.env("ORBIT_DATA_DIR", settings.data_dir()).env_remove("ORBIT_PLANE").kill_on_drop(true);
    match &settings.mysql_url {
        Some(url) => command.env("ORBIT_MYSQL_URL", url),
        None => command.env_remove("ORBIT_MYSQL_URL"),
    };
    command
}

async fn rebuild(settings: &StoreSettings, die_after: u32) -> Output {
    let mut command = orbit(settings);
    command.args(["viewport", "rebuild"]).env("ORBIT_DIE_AFTER_WRITES", die_after.to_string());
    command.output().await.unwrap()
}

pub async fn a_process_killed_after_any_write_is_made_good_by_the_next(under: Under) {
    for application in ["web", "api", "jobs"] {
        under.record(&ApplicationKey::new("shop", application), everything()).await;
    }
    let mut deaths = 0;
    loop {
        let output = rebuild(&under.settings, deaths + 1).await;
        if output.status.success() {
            break;
        }
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("failpoint: dying"), "{said}");
        deaths += 1;
        // However far it came: nothing is half there, and what is there is right.
        for finding in viewport::verify(&under.store, &under.viewport, Duration::ZERO).await.unwrap() {
            assert!(finding.problem.contains("is at event "), "after {deaths} writes: {finding:?}");
        }
    }
    // The reset, the beginnings of the three together, the rest of each (the schema is there already).
    if cfg!(feature = "failpoints") {
        assert_eq!(deaths, 5);
    }
    under.assert_faithful().await;
    let old = under.viewport.dump().await.unwrap();
    // And a new one goes on where the last one died, without beginning anew.
    under.viewport.reset().await.unwrap();
    rebuild(&under.settings, 3).await;
    under.catch_up().await;
    assert_eq!(under.viewport.dump().await.unwrap(), old);
}
