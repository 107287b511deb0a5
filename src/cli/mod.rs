//! The `orbit` command: one file per subcommand.

mod audit;
mod controller;
mod crds;
mod diff;
mod export;
mod kubeconfig;
mod lifecycle;
mod openapi;
mod output;
mod plane;
mod renderer;
mod text;
mod trust;
mod upload;
mod verify;
mod viewport;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Takes a container image to every environment it belongs in and never forgets where it has been.
#[derive(Debug, Parser)]
#[command(name = "orbit", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Controller(Box<controller::Args>),
    Upload(Box<upload::Args>),
    Lifecycle(Box<lifecycle::Args>),
    Verify(Box<verify::Args>),
    Audit(Box<audit::Args>),
    Diff(Box<diff::Args>),
    Export(Box<export::Args>),
    Viewport(Box<viewport::Args>),
    Crds(crds::Args),
    Openapi(openapi::Args),
}

impl Cli {
    /// What to exit with when [`run`](Self::run) fails. A comparison that could be made has said with 1 that there are
    /// differences, as diff(1) does.
    pub fn failure(&self) -> ExitCode {
        match self.command {
            Command::Diff(_) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }

    /// Runs the chosen subcommand; what to exit with.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Controller(args) => controller::run(*args).await,
            Command::Upload(args) => upload::run(*args).await,
            Command::Lifecycle(args) => lifecycle::run(*args).await,
            Command::Verify(args) => verify::run(*args).await,
            Command::Audit(args) => audit::run(*args).await,
            Command::Diff(args) => return diff::run(*args).await,
            Command::Export(args) => export::run(*args).await,
            Command::Viewport(args) => viewport::run(*args).await,
            Command::Crds(args) => crds::run(args),
            Command::Openapi(args) => openapi::run(args),
        }
        .map(|()| ExitCode::SUCCESS)
    }
}
