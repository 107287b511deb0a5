//! More objects in one overlay than anybody should write by hand.

use std::time::{Duration, Instant};

use kube::{ResourceExt, api::ListParams};
use orbit_plane::api::{ConditionStatus, Delivery, EnvironmentOverlay, condition_type, label, reason};
use serde_json::json;

use crate::{
    cluster::with_namespace,
    fleet::{Fleet, config_map},
    plane::condition,
};

/// An overlay holds them in a few texts of many documents each.
const OBJECTS: usize = 5_000;
const IN_ONE_TEXT: usize = 1_000;
/// How long all of them may take to come, or to go, on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(600);

#[tokio::test]
async fn five_thousand_objects_come_and_go_and_hold_up_nobody() {
    with_namespace(|client, namespace| async move {
        let mut fleet = Fleet::of(client, &namespace).await;
        fleet.plane.patience = PATIENCE;
        let object = |number| format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{number}}}\n");
        let texts: Vec<String> = (0..OBJECTS / IN_ONE_TEXT)
            .map(|text| (text * IN_ONE_TEXT..(text + 1) * IN_ONE_TEXT).map(object).collect())
            .collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let began = Instant::now();
        fleet.overlay("crowd", &texts, json!({})).await;
        let crowd = fleet.delivery("crowd", "here");
        let is_under_way = |it: &Delivery| it.status.as_ref().is_some_and(|status| status.attempted.is_some());
        fleet.plane.until(&crowd, "under way", is_under_way).await;
        let under_way = began.elapsed();

        fleet.overlay("web", &[&config_map("web", "1")], json!({})).await;
        fleet.until_delivered("web").await;
        let small = began.elapsed() - under_way;
        let now = fleet.plane.api::<Delivery>().get(&crowd).await.unwrap();
        let ready = condition(&now, condition_type::READY).unwrap();
        assert_eq!((ready.status, ready.reason.as_str()), (ConditionStatus::False, reason::PROGRESSING), "too late");

        let delivery = fleet.until_delivered("crowd").await;
        println!(
            "{OBJECTS} objects: rendered and planned in {under_way:.1?}, there and healthy after {:.1?}; \
             a delivery of one object meanwhile took {small:.1?}",
            began.elapsed()
        );
        assert_eq!(delivery.status.unwrap().inventory.unwrap().objects, OBJECTS as i32);
        assert_eq!(there(&fleet).await, OBJECTS);

        let began = Instant::now();
        fleet.plane.delete::<EnvironmentOverlay>("crowd.dev").await;
        fleet.plane.until_gone::<Delivery>(&crowd).await;
        assert_eq!(there(&fleet).await, 0);
        println!("{OBJECTS} objects: gone after {:.1?}", began.elapsed());
        fleet.until_delivered("web").await;
    })
    .await;
}

/// How many of the crowd are there.
async fn there(fleet: &Fleet) -> usize {
    let ours = ListParams::default().labels(label::PLANE);
    let maps = fleet.config_maps().list_metadata(&ours).await.unwrap();
    maps.iter().filter(|map| map.name_any().starts_with('c')).count()
}
