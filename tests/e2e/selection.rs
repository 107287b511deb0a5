//! Which clusters an overlay goes to, when their labels and its selector change.

use orbit_plane::api::{Delivery, EphemeralCluster, label};
use serde_json::{Value, json};

use crate::{
    cluster::with_namespace,
    fleet::{Fleet, config_map},
};

#[tokio::test]
async fn a_cluster_that_matches_no_more_is_cleared_and_one_that_does_is_served() {
    with_namespace(|client, namespace| async move {
        let fleet = Fleet::of(client, &namespace).await;
        let relabel = async |labels: Value| {
            fleet.plane.patch::<EphemeralCluster>("here", json!({"metadata": {"labels": labels}})).await;
        };
        let by_region = json!({"clusterSelector": {"matchLabels": {"region": "eu"}}});
        fleet.overlay("web", &[&config_map("one", "1")], json!({})).await;
        fleet.overlay("cart", &[&config_map("two", "2")], by_region).await;
        fleet.until_delivered("web").await;
        assert_eq!(fleet.value("two").await, None);

        relabel(json!({label::ENVIRONMENT: "prod", "region": "eu"})).await;
        fleet.until_delivered("cart").await;
        fleet.plane.until_gone::<Delivery>(&fleet.delivery("web", "here")).await;
        assert_eq!((fleet.value("one").await, fleet.value("two").await.as_deref()), (None, Some("2")));
        assert_eq!(fleet.told("web").await.last().map(String::as_str), Some("removed dev here -"));

        relabel(json!({label::ENVIRONMENT: "dev", "region": null})).await;
        fleet.until_delivered("web").await;
        fleet.plane.until_gone::<Delivery>(&fleet.delivery("cart", "here")).await;
        assert_eq!((fleet.value("one").await.as_deref(), fleet.value("two").await), (Some("1"), None));
    })
    .await;
}
