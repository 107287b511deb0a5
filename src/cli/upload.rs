//! `orbit upload`: an `ImageUpload` with the user's own kubeconfig, and the archive's bytes to where its status says.
//!
//! Running the same command again after an interruption goes on where the last run stopped: the same file has the
//! same upload key, and the server knows how many bytes it has.

mod archive;
mod assignment;
mod follow;
mod key;
mod manifest;
mod progress;
mod report;
mod send;
mod server;
mod source;

#[cfg(test)]
mod tests;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use jiff::{SignedDuration, Timestamp};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use url::Url;

use self::{
    archive::Archive,
    assignment::Assignment,
    follow::{Asked, Astray, Follower, Stage},
    key::UploadKey,
    manifest::{FIELD_MANAGER, Request},
    progress::Progress,
    report::{Format, Report},
    send::{SendError, Sender},
    source::Source,
};
use super::{kubeconfig, plane, trust::Trust};
use crate::{
    api::{Condition, ContainerPort, ImageUpload, RetentionPolicy},
    failpoint,
};

/// Hand an image to the plane: an archive file or a reference
///
/// The archive is what `docker save`, `buildah push docker-archive:` or `oci-archive:` write. An interrupted upload
/// goes on where it stopped when the same command is run again.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Archive file, or reference of an image in a registry with its tag or digest
    #[arg(value_name = "FILE|REFERENCE")]
    image: String,
    /// The application the image is of
    #[arg(long, short, value_parser = manifest::parse_application)]
    application: String,
    /// Version of the release, as in 1.4.0
    #[arg(long = "version", short = 'V', value_name = "VERSION", value_parser = manifest::parse_version)]
    version: String,
    /// Environment the release may go to; may be repeated
    #[arg(long = "environment", short, value_name = "ENVIRONMENT", value_parser = manifest::parse_environment)]
    environments: Vec<String>,
    /// Configuration entry; may be repeated and wins over --config-file
    #[arg(long, value_name = "KEY=VALUE")]
    config: Vec<Assignment>,
    /// File of KEY=VALUE lines; empty lines and those that start with # do not count
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// Who answers for the release
    #[arg(long)]
    owner: Option<String>,
    /// Label of your own to find the release by; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    metadata: Vec<Assignment>,
    /// How many pods run
    #[arg(long)]
    replicas: Option<i32>,
    /// Port the container listens on; may be repeated [default: what the image exposes]
    #[arg(long = "port", value_name = "[NAME=]PORT[/PROTOCOL]", value_parser = manifest::parse_port)]
    ports: Vec<ContainerPort>,
    /// Secret whose entries become environment variables; may be repeated
    #[arg(long = "secret", value_name = "NAME")]
    secrets: Vec<String>,
    /// What becomes of the stored data when the ImageUpload is deleted
    #[arg(long, value_parser = manifest::parse_retention, value_name = "Retain|Delete")]
    retention: Option<RetentionPolicy>,
    /// Secret with the registry's credentials, for a reference
    #[arg(long, value_name = "NAME")]
    pull_secret: Option<String>,
    /// Name of the ImageUpload [default: the application's]
    #[arg(long, value_parser = manifest::parse_name)]
    name: Option<String>,
    /// Namespace of the ImageUpload [default: the kubeconfig's current one]
    #[arg(long, short)]
    namespace: Option<String>,
    /// Kubeconfig file [default: $KUBECONFIG, ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig [default: its current one]
    #[arg(long)]
    context: Option<String>,
    /// Take over fields that somebody else manages
    #[arg(long)]
    force_conflicts: bool,
    /// Where to send the bytes instead of the host in status.upload.url
    #[arg(long, env = "ORBIT_SERVER", value_name = "URL")]
    server: Option<Url>,
    /// Certificates (PEM) to trust besides the system's, and those that the plane publishes in its cluster, when sending the
    /// bytes
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Wait until the release is ready; this is the default
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,
    /// Return as soon as the plane has all it needs
    #[arg(long, overrides_with = "wait")]
    no_wait: bool,
    /// How long to wait for the plane at a time, the sending of bytes not counted
    #[arg(long, default_value = "10m", value_parser = parse_timeout)]
    timeout: Duration,
    /// How to print the result
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// Runs it.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let progress = Progress::new();
    let source = Source::of(&args.image)?;
    let archive = match &source {
        Source::Archive(path) => Some(Archive::read(path, &progress).await?),
        Source::Reference(_) => None,
    };
    let (client, cluster) = kubeconfig::connect(args.kubeconfig.as_deref(), args.context.as_deref()).await?;
    let namespace = args.namespace.clone().unwrap_or_else(|| client.default_namespace().to_owned());
    let name = args.name.clone().unwrap_or_else(|| args.application.clone());
    let key = match &archive {
        Some(archive) => Some(UploadKey::of(&key::directory()?, &[&cluster, &namespace, &name], &archive.sha256)?),
        None => None,
    };
    let request = request(&args, &namespace, &name, &source, archive.as_ref(), key.as_ref())?;
    let job = Job { api: Api::namespaced(client, &namespace), request, args, progress };

    let applied = Box::new(job.apply().await?);
    let outcome = match archive.as_ref().zip(key.as_ref()) {
        None if job.args.no_wait => Ok(Outcome::Done(applied)),
        archive => job.see_through(applied, archive).await,
    };
    job.progress.finish();
    let outcome = outcome?;
    match outcome {
        Outcome::Done(object) => {
            if let Some(key) = key.filter(|_| object.status.as_ref().is_some_and(|s| s.release.is_some())) {
                key.forget();
            }
            println!("{}", Report::of(&object).print(job.args.output)?);
            Ok(())
        }
        Outcome::Stalled(object, condition) => {
            if job.args.output == Format::Json {
                println!("{}", Report::of(&object).print(job.args.output)?);
            }
            bail!("{namespace}/{name} is stalled: {}: {}", condition.reason, condition.message)
        }
    }
}

/// How it ended.
enum Outcome {
    Done(Box<ImageUpload>),
    Stalled(Box<ImageUpload>, Condition),
}

/// One run of the command.
struct Job {
    api: Api<ImageUpload>,
    request: Request,
    args: Args,
    progress: Progress,
}

/// How long a key that was just announced may be refused: the plane takes note of it at its next look.
const KEY_PATIENCE: Duration = Duration::from_secs(30);
/// How many sessions are tried before giving up: one may expire or be lost on the way.
const MAX_SESSIONS: usize = 3;

impl Job {
    /// Applies the ImageUpload.
    async fn apply(&self) -> anyhow::Result<ImageUpload> {
        let applied = self.patch(&self.request.manifest()).await;
        applied.map_err(|error| server::explain(error, &self.request))
    }

    /// Asks the plane to look once more at the object that was applied. One that was deleted meanwhile stays deleted.
    async fn ask_again(&self, applied: &ImageUpload) -> anyhow::Result<ImageUpload> {
        match self.patch(&self.request.once_more(applied, Timestamp::now())).await {
            Ok(object) => Ok(object),
            Err(error) => match self.api.get_opt(&self.request.name).await {
                Ok(now) if now.as_ref().is_none_or(|now| now.metadata.uid != applied.metadata.uid) => {
                    bail!(Astray::Deleted)
                }
                _ => Err(server::explain(error, &self.request)),
            },
        }
    }

    async fn patch(&self, manifest: &serde_json::Value) -> kube::Result<ImageUpload> {
        let mut parameters = PatchParams::apply(FIELD_MANAGER);
        parameters.force = self.args.force_conflicts;
        let object = self.api.patch(&self.request.name, &parameters, &Patch::Apply(manifest)).await?;
        failpoint::after_write("apply ImageUpload");
        Ok(object)
    }

    /// Follows the object to its end, sending the archive's bytes when they are asked for.
    async fn see_through(
        &self,
        applied: Box<ImageUpload>,
        archive: Option<(&Archive, &UploadKey)>,
    ) -> anyhow::Result<Outcome> {
        let asked = Asked::by(&applied, archive.map(|(archive, _)| archive.sha256));
        let mut follower = Follower::of(self.api.clone(), &self.request.name, asked);
        let mut trust = Trust::of_file(self.args.ca_file.as_deref())?;
        if archive.is_some() {
            plane::trust_published(self.api.clone().into_client(), &mut trust).await;
        }
        let sender = Sender::new(&trust)?;
        let mut sessions: Vec<String> = Vec::new();
        let mut seen: Option<Box<ImageUpload>> = None;
        loop {
            let url = match follower.next(self.args.timeout, &sessions, &self.progress).await? {
                Stage::Ready(object) => return Ok(Outcome::Done(object)),
                Stage::Stalled(object, condition) => return Ok(Outcome::Stalled(object, condition)),
                Stage::Stored(object) if self.args.no_wait => return Ok(Outcome::Done(object)),
                Stage::Stored(object) | Stage::Waiting(object) => {
                    seen = Some(object);
                    continue;
                }
                Stage::Send(url) => url,
            };
            let Some((archive, key)) = archive else { continue };
            if sessions.len() == MAX_SESSIONS {
                bail!(
                    "{MAX_SESSIONS} upload sessions ended before the archive was stored: `kubectl describe imageupload {}` may tell why",
                    self.request.name
                );
            }
            let target = server::target(&url, self.args.server.as_ref())?;
            sessions.push(url);
            match self.send(&sender, archive, &target, key).await {
                Ok(()) if self.args.no_wait => return Ok(Outcome::Done(seen.unwrap_or(applied))),
                Ok(()) => {}
                // Stored meanwhile by another run, or expired: the plane says which when it is asked to look.
                Err(SendError::SessionGone) => {
                    self.ask_again(&applied).await?;
                }
                Err(error) => return Err(error).with_context(|| format!("sending {}", archive.path.display())),
            }
            follower.restart_clock();
        }
    }

    async fn send(&self, sender: &Sender, archive: &Archive, target: &Url, key: &UploadKey) -> Result<(), SendError> {
        let until = tokio::time::Instant::now() + KEY_PATIENCE;
        loop {
            match sender.send(archive, target, key, &self.progress).await {
                Err(SendError::KeyRefused) if tokio::time::Instant::now() < until => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                end => return end,
            }
        }
    }
}

fn request(
    args: &Args,
    namespace: &str,
    name: &str,
    source: &Source,
    archive: Option<&Archive>,
    key: Option<&UploadKey>,
) -> anyhow::Result<Request> {
    let from_file = match &args.config_file {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
            assignment::parse_file(&text).with_context(|| path.display().to_string())?
        }
        None => Vec::new(),
    };
    let mut config = assignment::to_map(from_file).context("--config-file")?;
    config.extend(assignment::to_map(args.config.clone()).context("--config")?);
    if args.pull_secret.is_some() && archive.is_some() {
        bail!("--pull-secret belongs to a reference: an archive is sent from here and needs no registry");
    }
    let mut environments: Vec<String> = Vec::new();
    for environment in &args.environments {
        if !environments.contains(environment) {
            environments.push(environment.clone());
        }
    }
    Ok(Request {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        application: args.application.clone(),
        version: args.version.clone(),
        source: source.to_image_source(archive, args.pull_secret.as_deref()),
        key_hash: key.map(UploadKey::hash),
        environments,
        config,
        owner: args.owner.clone(),
        metadata: assignment::to_map(args.metadata.clone()).context("--metadata")?,
        replicas: args.replicas,
        ports: args.ports.clone(),
        secrets: args.secrets.clone(),
        retention: args.retention,
    })
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "a duration is expected, as in 90s or 10m".to_owned())
}

#[cfg(test)]
mod argument_tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Command::try_parse_from(format!("upload {line}").split(' ')).map(|command| command.args)
    }

    #[test]
    fn repeated_arguments_add_up() {
        let args =
            parse("web.tar --application web --version 1.4.0 -e dev -e prod --config A=1 --config B=x=y").unwrap();
        assert_eq!(args.environments, ["dev", "prod"]);
        assert_eq!(args.config.len(), 2);
        assert_eq!((args.timeout, args.no_wait, args.output), (Duration::from_secs(600), false, Format::Text));
    }

    #[test]
    fn a_name_that_the_api_server_would_refuse_is_refused_at_once() {
        for line in ["-a Web", "-a ../web", "-a 1web", "-a web-", "-a web -e Prod", "-a web --name ../x", "-a a.b"] {
            assert!(parse(&format!("web.tar -V 1.4.0 {line}")).is_err(), "{line}");
        }
        for version in ["v1.4.0", "1.4", "latest", "1.4.0+5", "1.4.0-RC.1", "01.4.0"] {
            let error = parse(&format!("web.tar -a web -V {version}")).unwrap_err().to_string();
            assert!(error.contains("a semantic version is expected"), "{error}");
        }
        assert!(parse("web.tar -a web-2 -V 1.4.0-rc.1 -e 1st --name web.of.maria").is_ok());
    }

    #[test]
    fn the_last_word_on_waiting_counts() {
        assert!(parse("web.tar -a web -V 1.4.0 --wait --no-wait").unwrap().no_wait);
        assert!(!parse("web.tar -a web -V 1.4.0 --no-wait --wait").unwrap().no_wait);
    }

    #[test]
    fn a_timeout_is_a_duration_longer_than_nothing() {
        assert_eq!(parse_timeout("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_timeout("1h30m"), Ok(Duration::from_secs(5400)));
        for text in ["", "0s", "-1s", "ten", "10"] {
            assert!(parse_timeout(text).is_err(), "{text:?}");
        }
    }
}
