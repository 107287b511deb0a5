//! The kill test: the controller dies again and again, at random points and after every external write, while uploads
//! go on; afterwards the history is exactly what was asked for, and everything is as if nothing had happened.
//!
//! `ORBIT_KILL_COUNT` says how many deaths there have to be (200), `ORBIT_KILL_SEED` repeats a run's random choices.

mod aftermath;
#[path = "../support/cluster.rs"]
mod cluster;
mod here;
mod killer;
#[path = "../plane/mod.rs"]
mod plane;
mod story;

use std::{sync::Arc, time::Duration};

use killer::{Killer, Ways};
use plane::{Plane, Stores, registry::Registry};
use story::{Interruptions, Story};

/// The longest step takes about sixty writes: when the controller dies after each, so many lives.
const STEP_WITHIN: Duration = Duration::from_secs(600);

fn deaths_wanted() -> u32 {
    std::env::var("ORBIT_KILL_COUNT").map_or(200, |count| count.parse().expect("ORBIT_KILL_COUNT is a number"))
}

fn seed() -> u64 {
    std::env::var("ORBIT_KILL_SEED")
        .map_or_else(|_| fastrand::u64(..), |seed| seed.parse().expect("ORBIT_KILL_SEED is a number"))
}

async fn kill_on(stores: Stores) {
    cluster::with_namespace(move |client, namespace| async move {
        let seed = seed();
        println!("{stores:?}: ORBIT_KILL_SEED={seed}");
        let began = std::time::Instant::now();
        let registry = Registry::start().await;
        let mut plane = Plane::new(client.clone(), &namespace, stores, &[]).await;
        plane.patience = STEP_WITHIN;
        let plane = Arc::new(plane);
        here::join(&plane).await;

        // Every gap: each life ends after its first write.
        let mut killer = Killer::start(plane.clone(), Ways::EveryWrite, seed);
        let interrupted = Interruptions::new(seed);
        let mut stories = vec![Story::archive(0), Story::reference(0), Story::returning(0), Story::delivered(0)];
        for story in &stories {
            story.run(&plane, &registry, Some(&interrupted)).await;
        }
        let mut deaths = killer.end().await;
        let every_gap = deaths.count();
        println!("{stores:?}: {deaths} in {:?}", began.elapsed());

        // Everything at once, as it comes.
        killer = Killer::start(plane.clone(), Ways::Mixed, seed.wrapping_add(1));
        let mut chapter = 1;
        while killer.deaths() < deaths_wanted() / 2 || every_gap + killer.deaths() < deaths_wanted() {
            let now = [
                Story::archive(chapter),
                Story::reference(chapter),
                Story::returning(chapter),
                Story::delivered(chapter),
            ];
            let [archive, reference, returning, delivered] = &now;
            tokio::join!(
                archive.run(&plane, &registry, Some(&interrupted)),
                reference.run(&plane, &registry, Some(&interrupted)),
                returning.run(&plane, &registry, Some(&interrupted)),
                delivered.run(&plane, &registry, Some(&interrupted)),
            );
            stories.extend(now);
            chapter += 1;
        }
        deaths.add(killer.end().await);
        println!("{stores:?}: {deaths} in {:?}", began.elapsed());
        assert!(deaths.count() >= deaths_wanted(), "only {} deaths", deaths.count());

        aftermath::check(&plane, stores, &registry, &stories, &deaths).await;
    })
    .await;
}

#[tokio::test]
async fn nothing_is_lost_or_done_twice_on_embedded_stores() {
    kill_on(Stores::Embedded).await;
}

#[tokio::test]
async fn nothing_is_lost_or_done_twice_on_s3_dynamodb_and_mysql() {
    kill_on(Stores::Servers).await;
}
