//! Who is told of what a watch sees.

use std::{collections::HashSet, hash::Hash, sync::Arc};

use kube::{
    Resource, ResourceExt,
    runtime::{reflector::Store, watcher},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

/// A change of an object.
#[derive(Debug)]
pub struct Told<K> {
    /// The object as it is, or was last.
    pub object: Arc<K>,
    /// Whether it is gone.
    pub gone: bool,
}

impl<K> Clone for Told<K> {
    fn clone(&self) -> Self {
        Self { object: self.object.clone(), gone: self.gone }
    }
}

/// Tells one listener of changes.
pub type Bell<K> = mpsc::UnboundedSender<Told<K>>;

/// Bells, each with what is heard of it.
pub fn bells<K, const N: usize>() -> [(Bell<K>, UnboundedReceiverStream<Told<K>>); N] {
    std::array::from_fn(|_| {
        let (bell, heard) = mpsc::unbounded_channel();
        (bell, UnboundedReceiverStream::new(heard))
    })
}

/// Tells of what a watch sees, once the store that the watch fills has it.
///
/// A watch that was cut off for too long begins with a list again, and then nobody says what went meanwhile: it is what
/// the store still has when the list begins, and the list has not.
pub struct Teller<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Hash + Eq + Clone,
{
    store: Store<K>,
    /// What was there when a list began.
    before: Vec<Arc<K>>,
    /// What was listed so far: the store takes a list as a whole.
    listed: Vec<Arc<K>>,
}

impl<K> Teller<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Hash + Eq + Clone,
{
    /// One that has heard of nothing yet, of a watch that fills this store.
    pub fn new(store: Store<K>) -> Self {
        Self { store, before: Vec::new(), listed: Vec::new() }
    }

    /// What is to be told now that the watch has seen something, and the store knows of it.
    pub fn hear(&mut self, event: &watcher::Event<K>) -> Vec<Told<K>> {
        match event {
            watcher::Event::Init => {
                self.before = self.store.state();
                self.listed.clear();
                Vec::new()
            }
            watcher::Event::InitApply(object) => {
                self.listed.push(Arc::new(object.clone()));
                Vec::new()
            }
            watcher::Event::InitDone => {
                let (before, listed) = (std::mem::take(&mut self.before), std::mem::take(&mut self.listed));
                // One that was made anew under its name is another one.
                let there: HashSet<_> = listed.iter().map(|object| object.uid()).collect();
                let gone = before.into_iter().filter(|object| !there.contains(&object.uid()));
                let gone = gone.map(|object| Told { object, gone: true }).collect::<Vec<_>>();
                gone.into_iter().chain(listed.into_iter().map(|object| Told { object, gone: false })).collect()
            }
            watcher::Event::Apply(object) => vec![Told { object: Arc::new(object.clone()), gone: false }],
            watcher::Event::Delete(object) => vec![Told { object: Arc::new(object.clone()), gone: true }],
        }
    }
}

/// Rings bells for what a watch sees.
pub struct Ringer<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Hash + Eq + Clone,
{
    bells: Vec<Bell<K>>,
    teller: Teller<K>,
}

impl<K> Ringer<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Hash + Eq + Clone,
{
    /// One that has heard of nothing yet, of a watch that fills this store.
    pub fn new(bells: Vec<Bell<K>>, store: Store<K>) -> Self {
        Self { bells, teller: Teller::new(store) }
    }

    /// The watch has seen something, and the store knows of it: what was told.
    pub fn hear(&mut self, event: &watcher::Event<K>) -> Vec<Told<K>> {
        let heard = self.teller.hear(event);
        for told in &heard {
            for bell in &self.bells {
                // Nobody listens while the plane shuts down.
                let _ = bell.send(told.clone());
            }
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Namespace;
    use kube::runtime::reflector::{self, store::Writer};
    use serde_json::json;

    use super::*;

    fn namespace(name: &str, uid: &str) -> Namespace {
        serde_json::from_value(json!({"metadata": {"name": name, "uid": uid}})).unwrap()
    }

    /// A watch that saw this; what is told of it.
    fn see(
        events: Vec<watcher::Event<Namespace>>,
        writer: &mut Writer<Namespace>,
        teller: &mut Teller<Namespace>,
    ) -> Vec<(String, bool)> {
        let mut all = Vec::new();
        for event in events {
            writer.apply_watcher_event(&event);
            all.extend(teller.hear(&event).into_iter().map(|told| (told.object.uid().unwrap(), told.gone)));
        }
        all
    }

    #[test]
    fn what_went_between_two_lists_is_told_of() {
        use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
        let (store, mut writer) = reflector::store();
        let mut teller = Teller::new(store);
        let told = |uid: &str, gone: bool| (uid.to_owned(), gone);
        let first = vec![Init, InitApply(namespace("a", "a1")), InitApply(namespace("b", "b1")), InitDone];
        assert_eq!(see(first, &mut writer, &mut teller), [told("a1", false), told("b1", false)]);
        let changes = vec![Apply(namespace("c", "c1")), Apply(namespace("d", "d1")), Delete(namespace("d", "d1"))];
        assert_eq!(see(changes, &mut writer, &mut teller), [told("c1", false), told("d1", false), told("d1", true)]);
        // A list that is cut off says nothing yet.
        assert_eq!(see(vec![Init, InitApply(namespace("a", "a1"))], &mut writer, &mut teller), []);
        let again = vec![Init, InitApply(namespace("a", "a1")), InitApply(namespace("c", "c2")), InitDone];
        let mut all = see(again, &mut writer, &mut teller);
        all[..2].sort();
        assert_eq!(all, [told("b1", true), told("c1", true), told("a1", false), told("c2", false)]);
    }
}
