//! Changes of a namespace's objects, as server-sent events.
//!
//! The API server is watched as the user, kind by kind, and told where to go on from. Each message's id says where that
//! is for every kind, so that whoever comes back with the last one misses nothing; where the API server no longer knows
//! what happened since, that is said instead.

use std::{collections::BTreeMap, convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::TryStreamExt;
use jiff::Timestamp;
use kube::api::WatchEvent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_stream::wrappers::ReceiverStream;
use url::form_urlencoded;

use super::objects::{KubernetesObject, Place, Plural, shown};
use crate::portal::{
    Portal,
    extract::{self, Named, name},
    problem::Problem,
    sessions::Session,
    turns::Turn,
    visitor::Visitor,
};

/// How often something is sent, and looked whether the session lasts.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Messages that wait for a slow client before the API server's do: each has an object, which may be large.
const WAITING: usize = 4;
/// How long until the API server is asked again after it failed, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(20));
/// The longest `Last-Event-ID` that is read.
const MAX_ID: usize = 1024;

/// What to watch.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Where to go on from, for whoever cannot send Last-Event-ID: the id of the last message.
    since: Option<String>,
}

/// An object has changed.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Change {
    /// How.
    #[serde(rename = "type")]
    kind: ChangeKind,
    /// What kind of object.
    plural: Plural,
    /// Its name.
    name: String,
    /// As it is now; as it was last, where it is deleted.
    #[schemars(with = "KubernetesObject")]
    object: Value,
}

/// How an object has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChangeKind {
    /// It is new, or has come to be seen.
    Added,
    /// It is different.
    Modified,
    /// It is gone.
    Deleted,
}

/// From here on everything is told.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Ready {
    /// Of these kinds; the user may not watch others.
    plurals: Vec<Plural>,
}

/// How far each kind is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Position(BTreeMap<Plural, String>);

impl Position {
    fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// What an id says. One that was not made here is as good as none.
    fn of(id: &str) -> Option<Self> {
        let bytes = (id.len() <= MAX_ID).then(|| URL_SAFE_NO_PAD.decode(id).ok()).flatten()?;
        let position: Self = serde_json::from_slice(&bytes).ok()?;
        position.0.values().all(|version| version.bytes().all(|byte| byte.is_ascii_digit())).then_some(position)
    }
}

/// What a watch of one kind tells.
enum Told {
    Change(ChangeKind, Value),
    /// Nothing happened, up to here.
    Bookmark(String),
    /// What happened before this cannot be told any more.
    Reset(String),
    /// The user may no longer watch it, or is no longer known.
    Over,
}

/// `GET …/watch`
pub async fn stream(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    Named(namespace): Named<String>,
    headers: HeaderMap,
    extract::Asked(asked): extract::Asked<Asked>,
) -> Result<Response, Problem> {
    name("a namespace", &namespace)?;
    let turn = portal.turns().stream(&session)?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned).or(asked.since);
    let known = last.as_deref().and_then(Position::of).unwrap_or_default();

    let mut position = Position::default();
    let mut refusal = None;
    for plural in Plural::ALL {
        // What is asked here is also whether one may at all.
        match newest(&session.client, &namespace, plural).await {
            Ok(newest) => {
                let version = known.0.get(&plural).cloned().unwrap_or(newest);
                position.0.insert(plural, version);
            }
            Err(kube::Error::Api(status)) if status.code == 403 => {
                refusal.get_or_insert(Problem::of_api_server(kube::Error::Api(status)));
            }
            Err(error) => return Err(Problem::of_api_server(error)),
        }
    }
    if position.0.is_empty() {
        return Err(refusal.unwrap_or_else(Problem::no_such_resource));
    }
    let (sender, messages) = mpsc::channel(WAITING);
    tokio::spawn(tell(portal, session, namespace, position, sender, turn));
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("");
    Ok(Sse::new(ReceiverStream::new(messages)).keep_alive(heartbeat).into_response())
}

type Messages = mpsc::Sender<Result<Event, Infallible>>;

/// Tells until the client goes, the session ends or the plane does.
async fn tell(
    portal: Portal,
    session: Arc<Session>,
    namespace: String,
    mut position: Position,
    messages: Messages,
    _turn: Turn,
) {
    let (sender, mut told) = mpsc::channel(WAITING);
    let mut watches = JoinSet::new();
    for (plural, version) in position.0.clone() {
        let place = Place { namespace: namespace.clone(), plural };
        watches.spawn(watch(session.client.clone(), place, version, sender.clone()));
    }
    drop(sender);
    let plurals = position.0.keys().copied().collect();
    if send(&messages, Event::default().event("ready"), &position, &Ready { plurals }).await.is_err() {
        return;
    }
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let (plural, what) = tokio::select! {
            () = messages.closed() => return,
            () = portal.shutdown().cancelled() => return,
            _ = heartbeat.tick() => match portal.sessions().is_live(&session.fingerprint, Timestamp::now()) {
                true => continue,
                false => return,
            },
            told = told.recv() => match told {
                Some(told) => told,
                None => return,
            },
        };
        let sent = match what {
            Told::Bookmark(version) => {
                position.0.insert(plural, version);
                continue;
            }
            Told::Reset(version) => {
                position.0.insert(plural, version);
                send(&messages, Event::default().event("reset"), &position, &Ready { plurals: vec![plural] }).await
            }
            Told::Over => return,
            Told::Change(kind, object) => {
                let text =
                    |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
                position.0.insert(plural, text("/metadata/resourceVersion"));
                let change = Change { kind, plural, name: text("/metadata/name"), object: shown(object) };
                send(&messages, Event::default(), &position, &change).await
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn send(messages: &Messages, event: Event, position: &Position, data: &impl Serialize) -> Result<(), ()> {
    let event = event.id(position.id()).json_data(data).map_err(drop)?;
    messages.send(Ok(event)).await.map_err(drop)
}

/// Where the objects of a kind are now.
async fn newest(client: &kube::Client, namespace: &str, plural: Plural) -> kube::Result<String> {
    let path = Place { namespace: namespace.to_owned(), plural }.path(None);
    let request =
        axum::http::Request::get(format!("{path}?limit=1")).body(Vec::new()).map_err(kube::Error::HttpError)?;
    let list: Value = client.request(request).await?;
    Ok(list.pointer("/metadata/resourceVersion").and_then(Value::as_str).unwrap_or_default().to_owned())
}

/// Watches one kind from a version on, for as long as somebody listens.
async fn watch(client: kube::Client, place: Place, mut version: String, told: mpsc::Sender<(Plural, Told)>) {
    let plural = place.plural;
    let mut wait = AGAIN.0;
    loop {
        let failed = match once(&client, &place, &mut version, &told).await {
            Ok(()) => None,
            Err(kube::Error::Api(status)) => match status.code {
                401 | 403 => return drop(told.send((plural, Told::Over)).await),
                410 => match newest(&client, &place.namespace, plural).await {
                    Ok(newest) => {
                        version.clone_from(&newest);
                        if told.send((plural, Told::Reset(newest))).await.is_err() {
                            return;
                        }
                        None
                    }
                    Err(error) => Some(error),
                },
                _ => Some(kube::Error::Api(status)),
            },
            Err(error) => Some(error),
        };
        match failed {
            None => wait = AGAIN.0,
            Some(error) => {
                tracing::debug!(plural = plural.as_str(), %error, ?wait, "a watch for the portal broke off");
                sleep(wait).await;
                wait = (wait * 2).min(AGAIN.1);
            }
        }
        if told.is_closed() {
            return;
        }
    }
}

/// How long a watch lasts, in seconds. The API server asks only at its beginning whether one may.
const WATCH_SECONDS: &str = "30";

/// One watch, until the API server ends it.
async fn once(
    client: &kube::Client,
    place: &Place,
    version: &mut String,
    told: &mpsc::Sender<(Plural, Told)>,
) -> kube::Result<()> {
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("watch", "1"), ("allowWatchBookmarks", "true"), ("timeoutSeconds", WATCH_SECONDS)])
        .append_pair("resourceVersion", version)
        .finish();
    let request = axum::http::Request::get(format!("{}?{query}", place.path(None)));
    let request = request.body(Vec::new()).map_err(kube::Error::HttpError)?;
    let mut events = pin!(client.request_events::<Value>(request).await?);
    while let Some(event) = events.try_next().await? {
        let (kind, object) = match event {
            WatchEvent::Added(object) => (ChangeKind::Added, object),
            WatchEvent::Modified(object) => (ChangeKind::Modified, object),
            WatchEvent::Deleted(object) => (ChangeKind::Deleted, object),
            WatchEvent::Bookmark(bookmark) => {
                version.clone_from(&bookmark.metadata.resource_version);
                if told.send((place.plural, Told::Bookmark(version.clone()))).await.is_err() {
                    return Ok(());
                }
                continue;
            }
            WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
        };
        if let Some(now) = object.pointer("/metadata/resourceVersion").and_then(Value::as_str) {
            now.clone_into(version);
        }
        if told.send((place.plural, Told::Change(kind, object))).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back_as_it_was() {
        let position = Position([(Plural::ImageUploads, "41".to_owned()), (Plural::Deliveries, "7".to_owned())].into());
        assert_eq!(Position::of(&position.id()), Some(position));
    }

    #[test]
    fn what_was_not_made_here_is_no_position() {
        let made = |json: &str| URL_SAFE_NO_PAD.encode(json);
        for id in [
            "",
            "x",
            "!",
            &made("{}x"),
            &made(r#"{"secrets":"1"}"#),
            &made(r#"{"deliveries":"1&watch=0"}"#),
            &"a".repeat(2000),
        ] {
            assert_eq!(Position::of(id), None, "{id}");
        }
    }
}
