//! The programs that people pull with, each with a home of its own.

use std::{path::PathBuf, process::Stdio};

use tempfile::TempDir;
use tokio::process::Command;

use crate::plane::{Outcome, tool};

/// Somebody's machine: logged in nowhere at first.
pub struct Clients {
    folder: TempDir,
    /// Whom they trust besides nobody, where it is said.
    pub certificates: Option<PathBuf>,
}

impl Clients {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), certificates: None }
    }

    /// A path in their home.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("temporary folders have plain names").to_owned()
    }

    /// Runs a program to its end.
    pub async fn run(&self, program: &str, arguments: &[&str]) -> Outcome {
        let mut command = Command::new(tool(program));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null()).kill_on_drop(true);
        command.env("HOME", self.folder.path()).env("DOCKER_CONFIG", self.folder.path());
        command.env("XDG_RUNTIME_DIR", self.folder.path()).env_remove("KUBECONFIG");
        if let Some(certificates) = &self.certificates {
            command.env("SSL_CERT_FILE", certificates);
        }
        let output = command
            .output()
            .await
            .unwrap_or_else(|error| panic!("{program} is needed for this test (`testbed tools {program}`): {error}"));
        Outcome::of(&output)
    }

    /// Runs a program that has to succeed; what it wrote.
    pub async fn must(&self, program: &str, arguments: &[&str]) -> String {
        let outcome = self.run(program, arguments).await;
        assert!(outcome.good, "{program} {}: {}", arguments.join(" "), outcome.text);
        outcome.text
    }

    /// Runs a program that has to be refused; what it wrote.
    pub async fn must_not(&self, program: &str, arguments: &[&str]) -> String {
        let outcome = self.run(program, arguments).await;
        assert!(!outcome.good, "{program} {}: {}", arguments.join(" "), outcome.text);
        outcome.text
    }
}
