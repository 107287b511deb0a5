//! Many clusters: everything arrives everywhere, a plane at rest writes nothing but Leases, and clusters that die are no
//! trouble for the others.
//!
//! `ORBIT_TEST_SCALE_CLUSTERS` says how many there are (3; each is a process of its own for etcd, API server and
//! controllers, takes 5 s to start and 500 MB), `ORBIT_TEST_SCALE_OVERLAYS` how much goes to each (50).

#[path = "../support/audit.rs"]
mod audit;
#[path = "../support/cluster.rs"]
mod cluster;
mod crowd;
#[path = "../plane/mod.rs"]
mod plane;
mod rest;
#[path = "../support/testbed.rs"]
mod testbed;

use std::time::{Duration, Instant};

use orbit_plane::api::{Delivery, EphemeralCluster, reason};
use serde_json::json;

use crate::crowd::Crowd;

fn number(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

#[tokio::test]
async fn everything_arrives_everywhere_and_a_quarter_of_the_clusters_may_die() {
    cluster::with_namespace(|client, namespace| async move {
        let clusters = number("ORBIT_TEST_SCALE_CLUSTERS", 3);
        let overlays = number("ORBIT_TEST_SCALE_OVERLAYS", 50);
        let mut crowd = Crowd::of(client, &namespace, clusters).await;

        let began = Instant::now();
        crowd.overlays(overlays, "1").await;
        crowd.until_delivered().await;
        println!("{overlays} overlays are healthy in {clusters} clusters after {:.1} s", began.elapsed().as_secs_f32());
        crowd.must_hold("1").await;

        let settled = Duration::from_secs(20 + 2 * clusters as u64);
        let rest = rest::observe(&crowd, settled).await;
        println!("{rest}");
        assert_eq!(rest.writes, Vec::<String>::new(), "a plane at rest writes nothing but Leases");
        // A build that is not optimised takes five times as much.
        assert!(cfg!(debug_assertions) || rest.share() < 0.02, "{rest}");

        let dead = crowd.kill(clusters.div_ceil(4)).await;
        let began = Instant::now();
        crowd.overlays(overlays, "2").await;
        crowd.until_delivered().await;
        println!(
            "a change to all of them is healthy in the {} that live after {:.1} s",
            crowd.alive.len(),
            began.elapsed().as_secs_f32()
        );
        crowd.must_hold("2").await;

        // Some are silent for too long, the others are given up.
        for (number, cluster) in dead.iter().enumerate() {
            if number % 2 == 0 {
                let soon = json!({"spec": {"lostAfter": "1s"}});
                crowd.plane.patch::<EphemeralCluster>(&cluster.name, soon).await;
                crowd.plane.until_reason::<EphemeralCluster>(&cluster.name, reason::LOST).await;
            } else {
                crowd.plane.delete::<EphemeralCluster>(&cluster.name).await;
            }
            for overlay in crowd.names() {
                let delivery = crowd.plane.delivery(&overlay, &cluster.name);
                match number % 2 {
                    0 => drop(crowd.plane.until_reason::<Delivery>(&delivery, reason::LOST).await),
                    _ => crowd.plane.until_gone::<Delivery>(&delivery).await,
                }
            }
            crowd.must_end_with("lost", cluster).await;
        }
        for cluster in &crowd.alive {
            crowd.must_end_with("healthy", cluster).await;
        }
        crowd.plane.verify().await;
    })
    .await;
}
