//! `orbit controller`: the operator itself.

mod portal;
mod portal_settings;
mod settings;
mod tls_secret;

use std::{fs::File, io::ErrorKind, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use axum::middleware;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;
use url::Url;

use self::settings::{LogFormat, Settings};
use super::kubeconfig;
use crate::{
    api::{FIELD_MANAGER, PULL_SECRET},
    chart_store::{self, ChartStore},
    controllers::{
        self,
        context::{Context, Installation},
        install,
        probes::{self, Probes},
        robots::ClusterRobots,
    },
    embedded, failpoint,
    image_harbor::{self, ingest},
    listener::{self, Certificates, TrustedProxies},
    overlay::renderer::Renderer,
    portal::Stores,
    registry::{
        self, Redirects, Registry,
        readers::{Place, Readers},
    },
    requests::{self, Requests},
    viewport::{self, Projector},
};

/// How long a rendering may take.
const RENDER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the work under way may take to come to its end after SIGTERM; a kubelet waits 30 s before it kills.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(22);
/// Archives that have arrived and wait to be noticed.
const ARRIVALS: usize = 256;

/// Run the operator
///
/// Without flags it works on the current kubeconfig with embedded stores in one data directory, and installs what it
/// needs in the cluster.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Settings as YAML; flags and environment variables win over them
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// Runs it until it is told to end.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let settings = settings::load(args.config.as_deref(), args.settings)?;
    log(settings.log_format());
    // What cannot work is found before the cluster is touched.
    let program = settings.renderer()?;
    let _claim = claim_data_dir(&settings)?;
    let (listener, public_url) = listen(&settings).await?;
    let door = portal::listen(&settings.portal).await?;
    let health_listener = bind(settings.health_listen()).await?;
    tracing::info!(address = %health_listener.local_addr()?, "health and metrics");

    // Whoever asks how it is gets an answer from here on, however long stores and API server let it wait.
    let probes = Probes { shutdown: shutdown_on_signal()?, ..Probes::default() };
    let shutdown = probes.shutdown.clone();
    let serve = |listener, certificates, router| {
        let trusted = TrustedProxies(settings.trusted_proxies.clone());
        let limits = listener::Limits { trusted, ..listener::Limits::default() };
        tokio::spawn(listener::serve(listener, certificates, router, limits, shutdown.clone().cancelled_owned()))
    };
    let health = serve(health_listener, None, probes::router(probes.clone()));

    let config = cluster(&settings).await?;
    let client = Client::try_from(config.clone()).context("no connection to the API server")?;
    if !settings.skip_install {
        install::install(&client).await?;
    }
    let Some(chart_store) = open_chart_store(&settings, &shutdown).await else { return Ok(()) };
    let harbor = image_harbor::open(&settings.stores).await?;
    let viewport = viewport::open(&settings.stores)?;
    tracing::info!(plane = chart_store.plane(), harbor = harbor.name(), viewport = viewport.location(), "stores");
    let certificates = certificates(&settings, &client, &public_url, &shutdown).await;

    let renderer = Arc::new(Renderer::new(program, settings.renderers(), RENDER_TIMEOUT));
    let place = Place { public_url: public_url.clone(), tls: certificates.is_some() };
    let redirects = redirects(&settings, &place);
    let installation = installation(&settings, &client, public_url).await?;
    let instance = std::env::var("HOSTNAME").ok();
    let context =
        Context::new(client.clone(), harbor.clone(), chart_store.clone(), renderer.clone(), installation, instance);
    let context = Arc::new(context);
    let readers = Readers::new(client.clone(), Some(Arc::new(ClusterRobots::new(context.clone()))), place);

    let (completed, arrivals) = mpsc::channel(ARRIVALS);
    let projector = Projector::new(chart_store.clone(), viewport.clone());
    probes.metrics.get_or_init(|| context.metrics.registry(renderer.clone(), projector.status()));
    let all_recorded = CancellationToken::new();
    let mut projecting = tokio::spawn(projector.run(all_recorded.clone()));
    let stores = Stores {
        charts: chart_store.clone(),
        harbor: harbor.clone(),
        renderer: Some(renderer.clone()),
        kube_version: context.installation.kube_version.clone(),
    };
    let charts = chart_store.clone();
    let registry = Registry::new(harbor, chart_store, completed, readers, redirects, registry::Limits::default());
    let requests = Requests::default();
    let (recorded, answered) = (requests::Writer::new(requests.clone(), charts), CancellationToken::new());
    let recorded = tokio::spawn(recorded.run(answered.clone()));
    let surroundings = portal::Surroundings {
        public_url: context.installation.public_url.clone(),
        viewport,
        stores,
        config,
        client: client.clone(),
        requests: requests.clone(),
    };
    let portal_certificates = door.as_ref().and_then(|door| door.certificates(&client, &shutdown));
    let (portal, portal_listener) = portal::open(door, surroundings, settings.namespace.clone(), shutdown.clone());
    let application =
        portal_listener.map(|listener| serve(listener, portal_certificates, portal.router(registry.clone())));
    let api = registry::router(registry)
        .layer(middleware::from_fn_with_state(requests, requests::observe))
        .merge(portal.api());
    let api = serve(listener, certificates, api);

    let work = async {
        tokio::join!(
            controllers::run(context.clone(), arrivals, probes.started, shutdown.clone()),
            controllers::sweep(&context, shutdown.clone()),
        );
        api.await?;
        if let Some(application) = application {
            application.await?;
        }
        health.await?;
        anyhow::Ok(())
    };
    let too_late = async {
        shutdown.cancelled().await;
        tokio::time::sleep(SHUTDOWN_WITHIN).await;
    };
    let result = tokio::select! {
        result = work => result,
        ended = &mut projecting => return ended.context("the Viewport's projector"),
        () = too_late => {
            // Whatever is cut off here is found and done again at the next start.
            tracing::warn!("work was still under way after {} s", SHUTDOWN_WITHIN.as_secs());
            Ok(())
        }
    };
    // Nothing is answered any more: what was is recorded.
    answered.cancel();
    recorded.await?;
    all_recorded.cancel();
    projecting.await?;
    result
}

fn log(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        // Clusters that are gone are no errors of the plane's; their conditions say what is wrong.
        .unwrap_or_else(|_| "info,kube_client::client::builder=off".into());
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => subscriber.with_ansi(false).init(),
        LogFormat::Json => subscriber.json().init(),
    }
}

/// The registry's and portal's listener, and where clients reach it.
async fn listen(settings: &Settings) -> anyhow::Result<(TcpListener, Url)> {
    let address = settings.listen();
    let tls = settings.tls_secret.is_some();
    if !tls && !address.ip().is_loopback() {
        bail!(
            "--listen {address}: outside loopback TLS is required; name a Secret of type kubernetes.io/tls with --tls-secret, or listen on loopback and use kubectl port-forward to reach it from elsewhere"
        );
    }
    let listener = bind(address).await?;
    let local = listener.local_addr()?;
    tracing::info!(address = %local, tls, "registry");
    let public_url = match &settings.public_url {
        Some(url) if tls && url.scheme() != "https" => {
            bail!("--public-url {url}: with --tls-secret it has to begin with https://")
        }
        Some(url) => url.clone(),
        None if address.ip().is_unspecified() => {
            bail!("--listen {address} is no address that clients could use: say where they reach it with --public-url")
        }
        None => format!("{}://{local}", if tls { "https" } else { "http" }).parse()?,
    };
    Ok((listener, public_url))
}

/// The certificates of the listener, if it has any. Tells clients where the plane is, and whom to trust there.
async fn certificates(
    settings: &Settings,
    client: &Client,
    public_url: &Url,
    shutdown: &CancellationToken,
) -> Option<Certificates> {
    // One that is kept to a namespace is not the cluster's plane: several of them would take turns at one name.
    let announces = settings.namespace.is_none();
    let Some(secret) = settings.tls_secret.clone() else {
        if announces {
            announce(client, public_url, None).await;
        }
        return None;
    };
    let (asking, public_url) = (client.clone(), public_url.clone());
    Some(tls_secret::certificates(client.clone(), secret, shutdown.clone(), move |tls| {
        let (client, public_url) = (asking.clone(), public_url.clone());
        async move {
            if announces {
                announce(&client, &public_url, tls.ca.as_deref()).await;
            }
        }
    }))
}

/// The Secret with which clusters pull images: where they pull from the plane, the one that it delivers to them.
fn image_pull_secret(settings: &Settings) -> Option<String> {
    let delivered = settings.registry_host.is_some().then(|| PULL_SECRET.to_owned());
    settings.image_pull_secret.clone().or(delivered)
}

/// Whether and how clients are sent on to where the blobs lie.
fn redirects(settings: &Settings, place: &Place) -> Option<Redirects> {
    let registry = settings.registry_host.as_deref().map(|host| host.rsplit_once(':').map_or(host, |(host, _)| host));
    let own_hosts = place.public_url.host_str().into_iter().chain(registry).map(str::to_owned).collect();
    settings.s3_redirect.then_some(Redirects { own_hosts, tls: place.public_url.scheme() == "https" })
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("listening on {address}"))
}

async fn cluster(settings: &Settings) -> anyhow::Result<kube::Config> {
    let mut config = kubeconfig::config(settings.kubeconfig.as_deref(), settings.context.as_deref()).await?;
    // Longer than a watch lasts by the API server's own will: a dead connection is noticed, a quiet one is not cut.
    config.read_timeout = Some(Duration::from_secs(330));
    Ok(config)
}

/// The Chart Store, as soon as its database can be reached; none if the process is told to end before.
async fn open_chart_store(settings: &Settings, shutdown: &CancellationToken) -> Option<ChartStore> {
    let mut wait = Duration::from_secs(1);
    loop {
        match shutdown.run_until_cancelled(chart_store::open(&settings.stores)).await? {
            Ok(store) => return Some(store),
            Err(error) => tracing::error!(%error, ?wait, "the Chart Store cannot be opened; trying again"),
        }
        shutdown.run_until_cancelled(tokio::time::sleep(wait)).await?;
        wait = (wait * 2).min(Duration::from_secs(30));
    }
}

/// Keeps other controllers out of the data directory; the embedded stores are made for one.
fn claim_data_dir(settings: &Settings) -> anyhow::Result<Option<File>> {
    let stores = &settings.stores;
    if stores.s3_bucket.is_some() && stores.dynamodb_table.is_some() && stores.mysql_url.is_some() {
        return Ok(None);
    }
    let directory = stores.data_dir();
    match embedded::claim(&directory) {
        Ok(claim) => Ok(Some(claim)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            bail!("another orbit controller works on {}: end it first, or name another --data-dir", directory.display())
        }
        Err(error) => Err(error).with_context(|| format!("the data directory {} cannot be used", directory.display())),
    }
}

async fn installation(settings: &Settings, client: &Client, public_url: Url) -> anyhow::Result<Installation> {
    let kube_version = match &settings.kube_version {
        Some(version) => version.trim_start_matches('v').to_owned(),
        None => {
            let version =
                client.apiserver_version().await.context("asking the API server for its version")?.git_version;
            version.trim_start_matches('v').split(['-', '+']).next().unwrap_or_default().to_owned()
        }
    };
    semver::Version::parse(&kube_version).with_context(|| format!("--kube-version {kube_version}"))?;
    let stamps_specs = install::stamps_specs(client).await.context("looking for the policy orbit-changed-by")?;
    if !stamps_specs {
        tracing::warn!(
            "no admission policy stamps who changes a spec (it takes Kubernetes 1.36): the history names them unknown"
        );
    }
    Ok(Installation {
        namespace: settings.namespace.clone(),
        stamps_specs,
        public_url,
        registry_host: settings.registry_host.clone().unwrap_or_default(),
        image_pull_secret: image_pull_secret(settings),
        kube_version,
        chart_history: settings.chart_history(),
        limits: ingest::Limits {
            pull_from: settings.pull_from.clone(),
            plain_http: settings.plain_http.clone(),
            ..ingest::Limits::default()
        },
    })
}

/// Tells clients where the plane is, and whom to trust there. That it cannot be told is no reason not to work: they have
/// `--server`.
async fn announce(client: &Client, public_url: &Url, ca: Option<&str>) {
    let mut data = json!({"url": public_url.as_str().trim_end_matches('/')});
    if let Some(ca) = ca {
        data["ca"] = json!(ca);
    }
    let config_map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "orbit-plane", "namespace": "kube-public"},
        "data": data,
    });
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-public");
    let current = api.get_opt("orbit-plane").await;
    let known = |map: &ConfigMap| map.data.as_ref().is_some_and(|known| json!(known) == config_map["data"]);
    if let Ok(Some(map)) = &current
        && known(map)
    {
        return;
    }
    match api.patch("orbit-plane", &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&config_map)).await {
        Ok(_) => failpoint::after_write("announce the plane"),
        Err(error) => tracing::warn!(%error, "the ConfigMap kube-public/orbit-plane could not be written"),
    }
}

fn shutdown_on_signal() -> anyhow::Result<CancellationToken> {
    let shutdown = CancellationToken::new();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn({
        let shutdown = shutdown.clone();
        async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("shutting down");
            shutdown.cancel();
        }
    });
    Ok(shutdown)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[tokio::test]
    async fn outside_loopback_there_is_tls_and_an_address_that_clients_can_use() {
        let tried = async |settings: Value| {
            let settings: Settings = serde_json::from_value(settings).unwrap();
            listen(&settings).await.map(|(_, url)| url.to_string()).map_err(|error| error.to_string())
        };
        let everywhere = "0.0.0.0:0";
        for (settings, why) in [
            (json!({"listen": everywhere}), "TLS is required"),
            (json!({"listen": "[::]:0", "publicUrl": "https://registry.example"}), "TLS is required"),
            (json!({"listen": everywhere, "tlsSecret": "shop/tls"}), "--public-url"),
            (json!({"listen": everywhere, "tlsSecret": "shop/tls", "publicUrl": "http://r.example"}), "https://"),
        ] {
            let refused = tried(settings.clone()).await.unwrap_err();
            assert!(refused.contains(why), "{settings}: {refused}");
        }
        assert!(tried(json!({"listen": "127.0.0.1:0"})).await.unwrap().starts_with("http://127.0.0.1:"));
        let public = json!({"listen": everywhere, "tlsSecret": "shop/tls", "publicUrl": "https://registry.example"});
        assert_eq!(tried(public).await.unwrap(), "https://registry.example/");
    }
}
