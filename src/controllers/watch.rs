//! What wakes which reconciler. Nothing here decides anything: a wake-up too many changes nothing.

pub(super) mod clusters;
pub(super) mod told;

use std::{fmt::Debug, sync::Arc};

use futures::{Stream, StreamExt, TryStreamExt, future, stream};
use kube::{
    Api, Resource, ResourceExt,
    core::{DeserializeGuard, NamespaceResourceScope},
    runtime::{
        Controller, Predicate, WatchStreamExt,
        controller::{self, Action},
        predicates,
        reflector::{ObjectRef, Store, store::Writer},
        watcher::{self, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, UnboundedReceiverStream};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use self::told::{Bell, Ringer, bells};
use super::{
    caches::{Cache, Listed},
    context::Context,
    import::import,
    reconcile::{Reconcile, drive},
};
use crate::{
    api::{Delivery, EnvironmentOverlay, EphemeralCluster, HelmChart, ImageUpload},
    release::ApplicationKey,
};

/// An object that may turn out not to be readable as its kind.
type Guarded<K> = DeserializeGuard<K>;

/// Where a watch puts what it sees, and whom it tells once it has seen all there is.
type Room<K> = (Store<Guarded<K>>, (Writer<Guarded<K>>, Listed));

/// Runs the reconcilers, and imports clusters, until `shutdown`, then lets those at work come to their end.
///
/// `completed` names applications whose archive has arrived. `started` is cancelled once every kind has been listed.
pub async fn run(
    context: Arc<Context>,
    completed: mpsc::Receiver<ApplicationKey>,
    started: CancellationToken,
    shutdown: CancellationToken,
) {
    let [(told, uploads_for_charts)] = bells();
    // Only the kinds' own reconcilers read these two.
    let (of_uploads, of_charts) = (Cache::default(), Cache::default());
    let room = (of_uploads.store(), of_uploads.filler());
    let (uploads, upload_changes) = watched::<ImageUpload>(&context, room, vec![told]);
    let [(told, charts_for_uploads), (also_told, charts_for_overlays)] = bells();
    let room = (of_charts.store(), of_charts.filler());
    let (charts, chart_changes) = watched::<HelmChart>(&context, room, vec![told, also_told]);
    let caches = &context.caches;
    let [(told, overlays_for_uploads), (also_told, overlays_for_clusters)] = bells();
    let room = (caches.overlays.store(), caches.overlays.filler());
    let (overlays, overlay_changes) = watched::<EnvironmentOverlay>(&context, room, vec![told, also_told]);
    let [(told, clusters_for_overlays), (also_told, clusters_for_deliveries)] = bells();
    let room = (caches.clusters.store(), caches.clusters.filler());
    let (clusters, cluster_changes) = watched::<EphemeralCluster>(&context, room, vec![told, also_told]);
    let [(told, deliveries_for_overlays), (also_told, deliveries_for_clusters)] = bells();
    let room = (caches.deliveries.store(), caches.deliveries.filler());
    let (deliveries, delivery_changes) = watched::<Delivery>(&context, room, vec![told, also_told]);
    let [(told, namespaces_for_deliveries)] = bells();
    let namespaces = clusters::namespaces(&context, told);
    let [(told, secrets_for_clusters), (also_told, secrets_for_deliveries), (told_too, secrets_for_imports)] = bells();
    let namespace = context.installation.namespace.clone();
    let watching_secrets =
        clusters::watch_secrets(context.client.clone(), namespace.as_deref(), vec![told, also_told, told_too]);
    let importing = import(&context, secrets_for_imports, shutdown.clone());
    let listed = {
        let context = context.clone();
        async move {
            tokio::join!(of_uploads.ready(), of_charts.ready(), context.caches.ready());
            started.cancel();
            future::pending::<()>().await;
        }
    };

    let woken = uploads.clone();
    let turns = UnboundedReceiverStream::new(context.intakes.woken());
    let arrivals = stream::select(ReceiverStream::new(completed), turns)
        .flat_map(move |key| stream::iter(of_application(&woken, &key)));
    let of_chart = uploads.clone();
    let of_overlay = uploads.clone();
    let upload_controller = Controller::for_stream(upload_changes, uploads)
        .reconcile_on(arrivals)
        .reconcile_on(charts_for_uploads.flat_map(move |told| stream::iter(siblings(&of_chart, &told.object))))
        .reconcile_on(
            overlays_for_uploads
                .filter(|told| future::ready(told.gone))
                .flat_map(move |told| stream::iter(siblings(&of_overlay, &told.object))),
        );

    let of_upload = charts.clone();
    let chart_controller = Controller::for_stream(chart_changes, charts)
        .reconcile_on(uploads_for_charts.flat_map(move |told| stream::iter(siblings(&of_upload, &told.object))));

    let of_chart = overlays.clone();
    let (of_cluster, of_namespace, with_clusters) = (overlays.clone(), overlays.clone(), clusters.clone());
    let overlay_controller = Controller::for_stream(overlay_changes, overlays)
        .reconcile_on(charts_for_overlays.flat_map(move |told| stream::iter(siblings(&of_chart, &told.object))))
        .reconcile_on(clusters::gathered(
            clusters::worth_counting(deliveries_for_overlays)
                .filter_map(|told| future::ready(clusters::overlay_of(&told.object))),
            clusters::OVERLAYS_GATHERED_FOR,
        ))
        .reconcile_on(
            clusters::significant(clusters_for_overlays).flat_map(move |_| stream::iter(everything(&of_cluster))),
        )
        .watches_stream(namespaces, move |namespace| {
            clusters::overlays_about(&of_namespace, &with_clusters, &namespace)
        });

    let (of_overlay, of_secret) = (clusters.clone(), clusters.clone());
    let cluster_controller = Controller::for_stream(cluster_changes, clusters)
        .reconcile_on(
            clusters::left_to_others(overlays_for_clusters).flat_map(move |_| stream::iter(everything(&of_overlay))),
        )
        .reconcile_on(clusters::gathered(
            deliveries_for_clusters.filter_map(|told| future::ready(clusters::cluster_of(&told.object))),
            clusters::CLUSTERS_GATHERED_FOR,
        ))
        .reconcile_on(
            secrets_for_clusters.flat_map(move |told| stream::iter(clusters::reached_with(&of_secret, &told.object))),
        );

    let (of_cluster, of_namespace, of_secret) = (deliveries.clone(), deliveries.clone(), deliveries.clone());
    let called = clusters::called(context.clone(), deliveries.clone());
    let delivery_controller = Controller::for_stream(delivery_changes, deliveries)
        .reconcile_on(called)
        .reconcile_on(clusters::observed(context.clone()))
        .reconcile_on(
            clusters::significant(clusters_for_deliveries)
                .flat_map(move |told| stream::iter(clusters::deliveries_to(&of_cluster, &told.object))),
        )
        .reconcile_on(
            namespaces_for_deliveries
                .flat_map(move |told| stream::iter(clusters::deliveries_about(&of_namespace, &told.object))),
        )
        .reconcile_on(
            secrets_for_deliveries.flat_map(move |told| stream::iter(clusters::delivering(&of_secret, &told.object))),
        );

    let reconcilers = future::join5(
        apart(until(upload_controller, context.clone(), shutdown.clone())),
        apart(until(chart_controller, context.clone(), shutdown.clone())),
        apart(until(overlay_controller, context.clone(), shutdown.clone())),
        apart(until(cluster_controller, context.clone(), shutdown.clone())),
        apart(until(delivery_controller, context.clone(), shutdown.clone())),
    );
    tokio::select! {
        _ = future::join(reconcilers, importing) => {}
        () = watching_secrets => {}
        () = listed => {}
    }
}

/// Runs a reconciler as a task of its own: what wakes one does not make all the others look for work.
async fn apart(reconciler: impl Future<Output = ()> + Send + 'static) {
    match AbortOnDropHandle::new(tokio::spawn(reconciler)).await {
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // It has come to its end, or the runtime has.
        Ok(()) | Err(_) => {}
    }
}

async fn until<K: Reconcile>(controller: Controller<Guarded<K>>, context: Arc<Context>, shutdown: CancellationToken) {
    controller
        .with_config(controller::Config::default().concurrency(K::CONCURRENCY))
        .graceful_shutdown_on(shutdown.cancelled_owned())
        .run(drive, |_, never, _| -> Action { match *never {} }, context)
        .for_each(|result| async move {
            match result {
                // That an object is gone before its turn came is no error.
                Ok(_) | Err(controller::Error::ObjectNotFound(_)) => {}
                Err(error) => tracing::warn!(kind = K::KIND, %error, "watching"),
            }
        })
        .await;
}

/// A kind's objects, and the changes of them that mean work: not those of their status. `told` hears of every change as
/// soon as the store has it: whoever is woken sooner would look into the store too early, and not be woken again.
fn watched<K: Reconcile>(
    context: &Arc<Context>,
    (store, (writer, listed)): Room<K>,
    told: Vec<Bell<Guarded<K>>>,
) -> (Store<Guarded<K>>, impl Stream<Item = Result<Guarded<K>, watcher::Error>> + Send + use<K>) {
    let work = predicates::generation.combine(predicates::finalizers).combine(predicates::annotations);
    let mut ringer = Ringer::new(told, store.clone());
    let context = context.clone();
    let changes = events::<K>(&context)
        .modify(|object| object.meta_mut().managed_fields = None)
        .reflect(writer)
        .inspect_ok(move |event| {
            listed.hear(event);
            for told in ringer.hear(event).into_iter().filter(|told| told.gone) {
                context.forget(&told.object.uid().unwrap_or_default());
            }
        })
        .applied_objects()
        .predicate_filter(work, Default::default());
    (store, changes)
}

fn events<K>(
    context: &Context,
) -> impl Stream<Item = Result<watcher::Event<Guarded<K>>, watcher::Error>> + Send + use<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let client = context.client.clone();
    let api: Api<Guarded<K>> = match &context.installation.namespace {
        Some(namespace) => Api::namespaced(client, namespace),
        None => Api::all(client),
    };
    watcher(api, watcher::Config::default()).default_backoff()
}

/// A kind that belongs to an application.
trait OfApplication {
    fn application(&self) -> &str;
}

impl OfApplication for ImageUpload {
    fn application(&self) -> &str {
        &self.spec.application
    }
}

impl OfApplication for HelmChart {
    fn application(&self) -> &str {
        &self.spec.application
    }
}

impl OfApplication for EnvironmentOverlay {
    fn application(&self) -> &str {
        &self.spec.application
    }
}

/// Every object of a kind.
fn everything<K: Reconcile>(store: &Store<Guarded<K>>) -> Vec<ObjectRef<Guarded<K>>> {
    store.state().iter().map(|object| ObjectRef::from_obj(object.as_ref())).collect()
}

/// Every object of a kind in a namespace.
fn within<K: Reconcile>(store: &Store<Guarded<K>>, namespace: &str) -> Vec<ObjectRef<Guarded<K>>> {
    let state = store.state();
    let there = state.iter().filter(|object| object.namespace().as_deref() == Some(namespace));
    there.map(|object| ObjectRef::from_obj(object.as_ref())).collect()
}

/// The objects of one kind that belong to the same application as one of another.
fn siblings<K, Other>(store: &Store<Guarded<K>>, other: &Guarded<Other>) -> Vec<ObjectRef<Guarded<K>>>
where
    K: Reconcile + OfApplication,
    Other: Reconcile + OfApplication,
{
    match &other.0 {
        Ok(object) => {
            of_application(store, &ApplicationKey::new(object.namespace().unwrap_or_default(), object.application()))
        }
        Err(_) => Vec::new(),
    }
}

/// The objects of a kind that belong to an application.
fn of_application<K>(store: &Store<Guarded<K>>, key: &ApplicationKey) -> Vec<ObjectRef<Guarded<K>>>
where
    K: Reconcile + OfApplication,
{
    let belongs = |object: &Arc<Guarded<K>>| {
        object.namespace().as_deref() == Some(&key.namespace)
            && object.0.as_ref().is_ok_and(|object| object.application() == key.application)
    };
    store.state().iter().filter(|object| belongs(object)).map(|object| ObjectRef::from_obj(object.as_ref())).collect()
}
