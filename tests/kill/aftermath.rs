//! What has to be so when the killing is over.

use std::{collections::BTreeMap, time::Duration};

use futures::StreamExt;
use kube::api::{DeleteParams, ListParams};
use orbit_plane::{
    api::{Delivery, EnvironmentOverlay, EphemeralCluster, HelmChart, ImageUpload},
    chart_store::Event,
    digest::Digest,
};

use crate::{
    here,
    killer::Deaths,
    plane::{Plane, Stores, registry::Registry, said},
    story::Story,
};

/// What the plane that is never killed keeps its data in: what becomes of an upload does not depend on it.
const GOLDEN: Stores = Stores::Embedded;

/// A fact, and the digest of what it speaks of.
type Told = (String, Option<Digest>);

/// Checks all of it.
pub async fn check(plane: &Plane, stores: Stores, registry: &Registry, stories: &[Story], deaths: &Deaths) {
    // Whatever the last death left undone is done now, or never.
    let controller = plane.start().await;
    let mut histories = BTreeMap::new();
    for story in stories {
        let events = plane.events(&story.application).await;
        let facts = told(plane, &events).into_iter().map(|(said, _)| said).collect();
        assert_eq!(in_steps(story, facts), story.facts(), "{}", story.application);
        histories.insert(story.application.clone(), told(plane, &events));
    }
    plane.verify_at_rest().await;
    here::must_have_what_inventories_say(plane).await;
    clear(plane).await;
    here::must_have_nothing(plane).await;
    plane.until_projected().await;
    controller.stop().await;
    the_viewport_is_the_same_made_anew(plane).await;

    let (golden, writes) = golden_run(plane, registry, stories).await;
    for story in stories {
        let application = &story.application;
        assert_eq!(in_steps(story, histories[application].clone()), in_steps(story, golden[application].clone()));
    }
    if stores == GOLDEN {
        every_kind_was_visited(&writes, deaths);
    }
}

/// So many writes of a kind are hardly passed by: some two hundred deaths after a write are shared by some six hundred.
const OFTEN: u64 = 30;

/// A write that the stories take often and that no controller ever died after is one that the killing passed by.
fn every_kind_was_visited(writes: &BTreeMap<String, u64>, deaths: &Deaths) {
    let often = writes.iter().filter(|(_, count)| **count >= OFTEN).map(|(what, _)| what);
    let never: Vec<_> = often.filter(|what| !deaths.after.contains_key(*what)).collect();
    assert!(never.is_empty(), "no controller died after writes of these kinds: {never:?}");
}

/// What events say, of clusters without the namespace that they are in.
fn told(plane: &Plane, events: &[Event]) -> Vec<Told> {
    let namespace = format!("{}/", plane.namespace);
    events.iter().map(|event| (said(event).replace(&namespace, ""), event.fact.digest())).collect()
}

/// The journal cut into the story's steps, sorted within each: what happens in one step has no order. What is more
/// than the story has is a step of its own.
fn in_steps<T: Ord>(story: &Story, journal: Vec<T>) -> Vec<Vec<T>> {
    let mut rest = journal.into_iter();
    let mut steps: Vec<Vec<T>> = Vec::new();
    for facts in story.facts() {
        let mut step: Vec<T> = rest.by_ref().take(facts.len()).collect();
        step.sort();
        steps.push(step);
    }
    let more: Vec<T> = rest.collect();
    if !more.is_empty() {
        steps.push(more);
    }
    steps
}

/// What was projected through all of it is what a projection from the beginning gives.
async fn the_viewport_is_the_same_made_anew(plane: &Plane) {
    let before = plane.viewport().dump().await.unwrap();
    assert!(!before.is_empty());
    plane.on_stores(&["viewport", "rebuild"]).await;
    assert_eq!(plane.viewport().dump().await.unwrap(), before);
}

/// The same stories on a plane that is never killed: what each application's journal says then, and which kinds of
/// writes it takes, and how many.
async fn golden_run(
    killed: &Plane,
    registry: &Registry,
    stories: &[Story],
) -> (BTreeMap<String, Vec<Told>>, BTreeMap<String, u64>) {
    let mut plane = Plane::new(killed.client.clone(), &killed.namespace, GOLDEN, &[]).await;
    plane.patience = Duration::from_secs(120);
    here::join(&plane).await;
    let controller = plane.start().await;
    // A few at a time, as a machine of two cores does them fastest.
    futures::stream::iter(stories).for_each_concurrent(4, |story| story.run(&plane, registry, None)).await;
    let mut golden = BTreeMap::new();
    for story in stories {
        golden.insert(story.application.clone(), told(&plane, &plane.events(&story.application).await));
    }
    let writes = plane.writes().await;
    clear(&plane).await;
    controller.stop().await;
    (golden, writes)
}

/// Deletes every object, so that another plane finds the namespace empty.
async fn clear(plane: &Plane) {
    // The uploads first: while one names an environment, the environment's overlay comes back.
    let all = ListParams::default();
    plane.api::<ImageUpload>().delete_collection(&DeleteParams::default(), &all).await.unwrap();
    plane.until_none::<ImageUpload>().await;
    plane.api::<EnvironmentOverlay>().delete_collection(&DeleteParams::default(), &all).await.unwrap();
    plane.until_none::<EnvironmentOverlay>().await;
    plane.until_none::<Delivery>().await;
    plane.api::<EphemeralCluster>().delete_collection(&DeleteParams::default(), &all).await.unwrap();
    plane.until_none::<EphemeralCluster>().await;
    plane.api::<HelmChart>().delete_collection(&DeleteParams::default(), &all).await.unwrap();
    plane.until_none::<HelmChart>().await;
}
