use std::time::Duration;

use futures::FutureExt;
use serde_json::{Value, json};

use super::*;
use crate::api::{FIELD_MANAGER, label};

struct Scene {
    observed: Observed,
    woken: mpsc::UnboundedReceiver<DeliveryKey>,
}

impl Scene {
    fn new() -> Self {
        let (wake, woken) = mpsc::unbounded_channel();
        let observed = Observed::new("fleet/eu-1", wake);
        observed.looks(&delivery(), true);
        Self { observed, woken }
    }

    fn woken(&mut self) -> usize {
        let mut count = 0;
        while self.woken.try_recv().is_ok() {
            count += 1;
        }
        count
    }
}

fn delivery() -> DeliveryKey {
    DeliveryKey { namespace: "shop".into(), name: "web.prod.fleet.eu-1".into() }
}

fn id(kind: &str, name: &str) -> ObjectId {
    ObjectId { group: String::new(), kind: kind.into(), namespace: "shop".into(), name: name.into() }
}

fn gvk() -> GroupVersionKind {
    GroupVersionKind::gvk("", "v1", "ConfigMap")
}

fn object(version: u32, fields: Value) -> DynamicObject {
    let delivery = delivery();
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "a", "namespace": "shop", "resourceVersion": version.to_string(),
            "labels": {label::DELIVERY: delivery.label()},
            "annotations": {label::DELIVERY: delivery.to_string()},
            "managedFields": [{"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields}],
        },
    }))
    .unwrap()
}

#[test]
fn a_version_that_is_known_is_no_news_and_one_that_says_nothing_always_is() {
    let mut scene = Scene::new();
    let tell = |scene: &Scene, version: u32, fields: Value| {
        scene.observed.apply(id("ConfigMap", "a"), &gvk(), &object(version, fields));
    };
    let fingerprint = |scene: &Scene| scene.observed.object(&id("ConfigMap", "a")).unwrap().fingerprint;
    tell(&scene, 7, json!({"f:data": {}}));
    let trouble = Trouble::new("FailedMount", "no such thing");
    scene.observed.tell(id("ConfigMap", "a"), trouble);
    scene.woken();
    // It is listed once more, and stays.
    let number = scene.observed.begin(&Watched::of(&id("ConfigMap", "a")));
    let began = Instant::now();
    tell(&scene, 7, json!({"f:data": {}}));
    scene.observed.listed(&Watched::of(&id("ConfigMap", "a")), number, began);
    assert_eq!(scene.woken(), 0);
    assert!(scene.observed.troubles(&id("ConfigMap", "a")).is_empty(), "it is well");
    // Some extension servers have versions that are no numbers.
    scene.observed.delete(&id("ConfigMap", "a"), &object(8, json!({})));
    let before = [json!({"f:data": {}}), json!({"f:data": {"f:a": {}}})].map(|fields| {
        tell(&scene, 0, fields);
        fingerprint(&scene)
    });
    assert_ne!(before[0], before[1]);
}

#[test]
fn an_older_word_changes_nothing() {
    let mut scene = Scene::new();
    let seen = |scene: &Scene| scene.observed.object(&id("ConfigMap", "a"));
    scene.observed.apply(id("ConfigMap", "a"), &gvk(), &object(5, json!({"f:data": {}})));
    assert_eq!(scene.woken(), 1);
    let known = seen(&scene);
    scene.observed.apply(id("ConfigMap", "a"), &gvk(), &object(4, json!({})));
    assert_eq!((seen(&scene), scene.woken()), (known.clone(), 0));
    scene.observed.apply(id("ConfigMap", "a"), &gvk(), &object(6, json!({"f:data": {}})));
    assert_eq!((seen(&scene), scene.woken()), (known, 0), "what decisions need is the same");
    scene.observed.delete(&id("ConfigMap", "a"), &object(5, json!({})));
    assert!(seen(&scene).is_some());
    scene.observed.delete(&id("ConfigMap", "a"), &object(7, json!({})));
    assert_eq!((seen(&scene), scene.woken()), (None, 1));
}

#[test]
fn what_a_list_does_not_show_is_gone_unless_it_was_applied_meanwhile() {
    let mut scene = Scene::new();
    scene.observed.apply(id("ConfigMap", "a"), &gvk(), &object(5, json!({})));
    let began = Instant::now();
    scene.observed.apply(id("ConfigMap", "b"), &gvk(), &object(6, json!({})));
    scene.woken();
    let watched = Watched::of(&id("ConfigMap", ""));
    let number = scene.observed.begin(&watched);
    scene.observed.listed(&watched, number, began);
    assert_eq!(scene.observed.object(&id("ConfigMap", "a")), None);
    assert!(scene.observed.object(&id("ConfigMap", "b")).is_some());
    assert_eq!(scene.woken(), 1);
}

#[test]
fn a_pods_trouble_is_its_workloads_until_it_is_ready() {
    let mut scene = Scene::new();
    let workload = id("ConfigMap", "a");
    scene.observed.apply(workload.clone(), &gvk(), &object(5, json!({})));
    scene.woken();
    let pod = || vec![id("Pod", "a-1"), workload.clone()];
    let trouble = |reason: &str| Trouble { reason: reason.into(), message: String::new(), container: None };
    scene.observed.apply_pod(pod(), false, None, None);
    assert_eq!(scene.woken(), 0);
    scene.observed.tell(id("Pod", "a-1"), trouble("ReadinessProbeFailed"));
    assert_eq!(scene.observed.troubles(&workload), [(id("Pod", "a-1"), trouble("ReadinessProbeFailed"))]);
    scene.observed.apply_pod(pod(), false, Some(trouble("CrashLoopBackOff")), None);
    assert_eq!(scene.observed.troubles(&workload), [(id("Pod", "a-1"), trouble("CrashLoopBackOff"))]);
    assert_eq!(scene.woken(), 2);
    scene.observed.apply_pod(pod(), true, None, None);
    assert_eq!((scene.observed.troubles(&workload), scene.woken()), (Vec::new(), 1));
    let doubt = Doubt { until: None, trouble: trouble("Progressing") };
    scene.observed.apply_pod(pod(), true, None, Some(doubt.clone()));
    assert_eq!((scene.observed.doubts(&workload), scene.woken()), (vec![(id("Pod", "a-1"), doubt)], 1));
    scene.observed.apply_pod(pod(), true, None, None);
    assert_eq!((scene.observed.doubts(&workload), scene.woken()), (Vec::new(), 1));
    scene.observed.delete_pod(&id("Pod", "a-1"));
    assert_eq!(scene.woken(), 0);
}

#[test]
fn a_pod_that_a_list_does_not_show_troubles_nobody_any_more() {
    let mut scene = Scene::new();
    let workload = id("ConfigMap", "a");
    scene.observed.apply(workload.clone(), &gvk(), &object(5, json!({})));
    let trouble = || Trouble { reason: "CrashLoopBackOff".into(), message: String::new(), container: None };
    let pod = |name: &str| vec![id("Pod", name), workload.clone()];
    scene.observed.apply_pod(pod("a-1"), false, Some(trouble()), None);
    let began = Instant::now();
    scene.observed.apply_pod(pod("a-2"), false, Some(trouble()), None);
    scene.woken();
    let watched = Watched::Pods("shop".into());
    let number = scene.observed.begin(&watched);
    scene.observed.listed(&watched, number, began);
    assert_eq!(scene.observed.troubles(&workload), [(id("Pod", "a-2"), trouble())]);
    assert_eq!(scene.woken(), 1);
}

#[tokio::test]
async fn what_is_not_watched_any_more_is_not_known_and_a_watch_that_was_ended_says_nothing() {
    let mut scene = Scene::new();
    let watched = Watched::of(&id("ConfigMap", ""));
    let all = HashSet::from([watched.clone()]);
    let is_listed = |scene: &Scene| scene.observed.until_listed(&all).now_or_never().is_some();
    let first = scene.observed.begin(&watched);
    scene.observed.apply(id("ConfigMap", "a"), &gvk(), &object(5, json!({})));
    assert!(!is_listed(&scene));
    scene.observed.listed(&watched, first, Instant::now() - Duration::from_secs(1));
    assert!(is_listed(&scene));
    scene.woken();
    scene.observed.end(&watched);
    assert_eq!((scene.observed.object(&id("ConfigMap", "a")), scene.woken()), (None, 0));
    assert!(!is_listed(&scene));
    let second = scene.observed.begin(&watched);
    scene.observed.listed(&watched, first, Instant::now());
    scene.observed.unserved(&watched, first);
    assert!(!is_listed(&scene), "that was the first one's word");
    scene.observed.listed(&watched, second, Instant::now());
    assert!(is_listed(&scene));
}

#[test]
fn a_kind_that_is_not_served_any_more_has_no_objects() {
    let mut scene = Scene::new();
    let watched = Watched::of(&id("ConfigMap", ""));
    let number = scene.observed.begin(&watched);
    scene.observed.apply(id("ConfigMap", "a"), &gvk(), &object(5, json!({})));
    scene.woken();
    scene.observed.unserved(&watched, number);
    assert_eq!((scene.observed.object(&id("ConfigMap", "a")), scene.woken()), (None, 1));
}

#[test]
fn a_cluster_wakes_only_deliveries_that_look_at_it() {
    let mut scene = Scene::new();
    scene.observed.looks(&delivery(), false);
    scene.observed.apply(id("ConfigMap", "a"), &gvk(), &object(5, json!({})));
    scene.observed.delete(&id("ConfigMap", "a"), &object(6, json!({})));
    assert_eq!(scene.woken(), 0, "its labels are its own word");
    scene.observed.looks(&delivery(), true);
    scene.observed.apply(id("ConfigMap", "a"), &gvk(), &object(7, json!({})));
    assert_eq!(scene.woken(), 1);
}

#[test]
fn no_more_is_kept_of_a_cluster_than_may_be() {
    let mut scene = Scene::new();
    scene.observed.most = 2;
    let pod =
        |name: &str, owner: &str| scene.observed.apply_pod(vec![id("Pod", name), id("Job", owner)], false, None, None);
    for i in 0..4 {
        scene.observed.apply(id("ConfigMap", &format!("watched-{i}")), &gvk(), &object(5, json!({})));
        pod(&format!("pod-{i}"), "a");
        // One that is another's each time is still one pod.
        pod("pod-0", &format!("owner-{i}"));
        scene.observed.tell(id("ConfigMap", "nowhere"), Trouble::new("FailedCreate", ""));
    }
    scene.observed.apply(id("ConfigMap", &"x".repeat(254)), &gvk(), &object(5, json!({})));
    scene.observed.applied(id("ConfigMap", "own"), &gvk(), &object(5, json!({})));
    let state = scene.observed.lock();
    let mut kept: Vec<_> = state.objects.keys().map(|id| id.name.as_str()).collect();
    kept.sort_unstable();
    assert_eq!(kept, ["own", "watched-0", "watched-1"], "what the plane applied itself is known in any case");
    // Two pods, each known by itself and by its owner.
    assert_eq!((state.pods.len(), state.owned.len(), state.told.len()), (2, 4, 0));
}

#[test]
fn what_was_told_of_an_object_goes_with_it() {
    let scene = Scene::new();
    scene.observed.apply(id("ConfigMap", "a"), &gvk(), &object(5, json!({})));
    scene.observed.tell(id("ConfigMap", "a"), Trouble::new("FailedCreate", "no"));
    assert_eq!(scene.observed.troubles(&id("ConfigMap", "a")).len(), 1);
    let watched = Watched::of(&id("ConfigMap", ""));
    let number = scene.observed.begin(&watched);
    scene.observed.listed(&watched, number, Instant::now());
    assert!(scene.observed.lock().told.is_empty());
}
