//! A cluster with two users, for tests: maria, who may do what a developer does in namespace shop and nothing elsewhere,
//! and vera, who may only look there.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::http::{Method, Request, Response};
use futures::{Stream, stream};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::sync::watch;
use url::form_urlencoded;

use super::authority::{Authority, Cluster};

pub const MARIA: &str = "token-of-maria";
pub const VERA: &str = "token-of-vera";
/// Somebody who may nothing.
pub const NOBODY: &str = "token-of-nobody";

/// A client that reaches nobody.
pub fn nobodys_client() -> Client {
    let service = tower::service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    Client::new(service, "default")
}

/// An API server of very few words, with objects in memory.
#[derive(Default)]
pub struct FakeCluster {
    state: Arc<Mutex<State>>,
    /// The version of the last change.
    changed: Arc<watch::Sender<u64>>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    version: u64,
    /// Tokens that are no longer good.
    revoked: Vec<String>,
    /// Who asked for what, as `user METHOD path`.
    asked: Vec<String>,
}

impl FakeCluster {
    /// A token is no longer good.
    pub fn revoke(&self, token: &str) {
        self.state.lock().unwrap().revoked.push(token.to_owned());
    }

    /// Somebody else changes an object.
    pub fn change(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        let version = state.version;
        let object = state.objects.get_mut(path).unwrap();
        change(object);
        object["metadata"]["resourceVersion"] = version.to_string().into();
        self.changed.send_replace(version);
    }

    /// So many objects of a kind are there, each of so many bytes.
    pub fn fill(&self, kind: &str, number: usize, bytes: usize) {
        let mut state = self.state.lock().unwrap();
        let spec = json!({"application": "web", "values": {"text": "x".repeat(bytes)}});
        for number in 0..number {
            let name = format!("large-{number:04}");
            let object = json!({"metadata": {"name": name, "resourceVersion": "1"}, "spec": spec});
            state.objects.insert(format!("{kind}/{name}"), object);
        }
    }

    /// Who asked for what.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }
}

impl Cluster for FakeCluster {
    fn client(&self, authority: &Authority) -> anyhow::Result<Client> {
        let user = match authority {
            Authority::Token(token) => token.expose().to_owned(),
            Authority::Impersonation(user) => format!("impersonated {} {:?}", user.name, user.groups),
        };
        let (state, changed) = (self.state.clone(), self.changed.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (state, changed, user) = (state.clone(), changed.clone(), user.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap();
                let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let path = parts.uri.path();
                let (status, answer) =
                    state.lock().unwrap().answer(&user, &parts.method, path, parts.uri.query(), &body);
                changed.send_replace(state.lock().unwrap().version);
                let query = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
                let query: BTreeMap<_, _> = query.collect();
                let body = match status == 200 && query.contains_key("watch") {
                    true => {
                        let since = query["resourceVersion"].parse().unwrap();
                        axum::body::Body::from_stream(told(state, changed.subscribe(), format!("{path}/"), since))
                    }
                    false => axum::body::Body::from(answer.to_string()),
                };
                Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
            }
        });
        Ok(Client::new(service, "default"))
    }
}

/// The objects below a path that changed after a version, as they do.
fn told(
    state: Arc<Mutex<State>>,
    changed: watch::Receiver<u64>,
    place: String,
    since: u64,
) -> impl Stream<Item = Result<String, Infallible>> {
    stream::unfold((state, changed, place, since), async |(state, mut changed, place, since)| {
        loop {
            let (events, version) = state.lock().unwrap().since(&place, since);
            if !events.is_empty() {
                return Some((Ok(events), (state, changed, place, version)));
            }
            changed.changed().await.ok()?;
        }
    })
}

fn refusal(code: u16, reason: &str, message: &str) -> (u16, Value) {
    (code, json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}))
}

impl State {
    fn answer(&mut self, user: &str, method: &Method, path: &str, query: Option<&str>, body: &Value) -> (u16, Value) {
        self.asked.push(format!("{user} {method} {path}"));
        let known = [MARIA, VERA, NOBODY].contains(&user) || user.starts_with("impersonated ");
        if !known || self.revoked.iter().any(|token| token == user) {
            return refusal(401, "Unauthorized", "Unauthorized");
        }
        if path.ends_with("/selfsubjectreviews") {
            let name = match user.strip_prefix("impersonated ") {
                // One of whom nothing arrives, as of a name of blanks: what is left is the plane.
                Some(rest) if rest.starts_with("lost@") => "orbit-plane",
                Some(rest) => rest.split(' ').next().unwrap_or_default(),
                None => user.trim_start_matches("token-of-"),
            };
            let groups = ["people", "system:authenticated"];
            return (201, json!({"metadata": {}, "status": {"userInfo": {"username": name, "groups": groups}}}));
        }
        if path.ends_with("/selfsubjectaccessreviews") {
            let asked = &body["spec"]["resourceAttributes"];
            let text = |field: &str| asked[field].as_str().unwrap_or_default();
            let allowed = may(user, text("verb"), text("namespace"));
            return (201, json!({"metadata": {}, "spec": body["spec"], "status": {"allowed": allowed}}));
        }
        let place = path.strip_prefix("/apis/orbit.k8or.io/v1alpha1/namespaces/").expect("nothing else is asked for");
        let parts: Vec<&str> = place.split('/').collect();
        let verb = match (method.as_str(), parts.len()) {
            ("GET", 2) => "list",
            ("GET", _) => "get",
            ("POST", _) => "create",
            ("PUT", _) => "update",
            _ => "delete",
        };
        if !may(user, verb, parts[0]) {
            let message =
                format!("User {user:?} cannot {verb} resource {:?} in the namespace {:?}", parts[1], parts[0]);
            return refusal(403, "Forbidden", &message);
        }
        let dry_run = query.is_some_and(|query| query.contains("dryRun=All")) || body.get("dryRun").is_some();
        match verb {
            "list" => (200, self.list(path, query.unwrap_or_default())),
            _ => self.objects(method, path, body, dry_run),
        }
    }

    /// What has changed after a version, as a watch tells it, and the version now.
    fn since(&self, place: &str, since: u64) -> (String, u64) {
        let version = |object: &Value| object["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
        let there = self.objects.iter().filter(|(at, object)| at.starts_with(place) && version(object) > since);
        let events = there.map(|(_, object)| json!({"type": "MODIFIED", "object": object}).to_string() + "\n");
        (events.collect(), self.version)
    }

    /// A page goes on after the object that `continue` names.
    fn list(&self, path: &str, query: &str) -> Value {
        let asked: BTreeMap<_, _> = form_urlencoded::parse(query.as_bytes()).collect();
        let limit = asked.get("limit").map_or(usize::MAX, |limit| limit.parse().unwrap());
        let after = asked.get("continue").map_or("", |after| after.as_ref());
        let there = self.objects.iter().filter(|(at, _)| at.starts_with(&format!("{path}/")) && at.as_str() > after);
        let (names, items): (Vec<_>, Vec<_>) = there.clone().take(limit).unzip();
        let next = names.last().filter(|_| there.count() > limit);
        let metadata = json!({"resourceVersion": self.version.to_string(), "continue": next});
        json!({"apiVersion": "orbit.k8or.io/v1alpha1", "metadata": metadata, "items": items})
    }

    fn objects(&mut self, method: &Method, path: &str, body: &Value, dry_run: bool) -> (u16, Value) {
        let mut object = body.clone();
        match *method {
            Method::POST => {
                let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
                if self.objects.contains_key(&path) {
                    return refusal(409, "AlreadyExists", "it already exists");
                }
                self.write(&path, &mut object, dry_run);
                (201, object)
            }
            _ => {
                let Some(known) = self.objects.get(path).cloned() else {
                    return refusal(404, "NotFound", "there is no such object");
                };
                let expected = match *method {
                    Method::PUT => body["metadata"]["resourceVersion"].as_str(),
                    _ => body["preconditions"]["resourceVersion"].as_str(),
                };
                if expected.is_some_and(|expected| known["metadata"]["resourceVersion"] != expected) {
                    return refusal(409, "Conflict", "the object has been modified");
                }
                match *method {
                    Method::GET => (200, known),
                    Method::PUT => {
                        self.write(path, &mut object, dry_run);
                        (200, object)
                    }
                    _ if dry_run => (200, known),
                    _ => (200, self.objects.remove(path).unwrap()),
                }
            }
        }
    }

    fn write(&mut self, path: &str, object: &mut Value, dry_run: bool) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        object["metadata"]["managedFields"] = json!([{"manager": "orbit-portal"}]);
        if !dry_run {
            self.objects.insert(path.to_owned(), object.clone());
        }
    }
}

fn may(user: &str, verb: &str, namespace: &str) -> bool {
    match user {
        MARIA => namespace == "shop",
        VERA => namespace == "shop" && ["get", "list", "watch"].contains(&verb),
        _ => user.starts_with("impersonated maria") && namespace == "shop",
    }
}
