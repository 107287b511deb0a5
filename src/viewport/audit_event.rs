//! An event as the audit shows it: out of a journal, or out of the tables, and the same either way.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::projection;
use crate::chart_store::{Event, Fact};

/// An event of a namespace's journals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// When.
    pub at: String,
    /// Who.
    pub actor: String,
    /// What: `stored`, `charted`, `selected`, …, `changed` for a spec, `request` for a request to the plane's own API.
    /// Newer programs may write others.
    #[serde(rename = "type")]
    pub kind: String,
    /// The application it is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// The namespace it is about, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The version it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The environment it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The object whose spec changed, as `<kind>/<name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Digest of the release, the chart, the artifact or, with `changed`, the spec it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// With `changed`: the digest of the spec before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest_before: Option<String>,
    /// Digest of the spec that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec_digest: Option<String>,
    /// What else there is to say, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Where it came from, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// With `request`: what was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<AuditRequest>,
    /// The journal it is in: an application's name, `_changes` or `_requests`.
    pub journal: String,
    /// Its position in its journal, from 1.
    pub seq: i64,
    /// Its identity.
    pub id: String,
    /// Its own hash.
    pub hash: String,
    /// The hash of the event before it in its journal; none for the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_hash: Option<String>,
}

/// A request to the plane's own API, or several that are the same but for the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditRequest {
    /// The HTTP method.
    pub method: String,
    /// The path, without what stood after a question mark. It ends in `*` where they went to several below.
    pub path: String,
    /// The HTTP status; none where the client went away before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i64>,
    /// `opened` and `ended` for the two ends of an event stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// How many.
    pub count: i64,
    /// When the last came; the first came `at`.
    pub last_at: String,
    /// The first one's X-Request-Id.
    pub id: String,
}

impl AuditEvent {
    /// An event of a journal.
    pub fn of(event: &Event) -> Self {
        let request = match &event.fact {
            Fact::Request(request) => Some(request),
            _ => None,
        };
        let own = Some(event.key.namespace.as_str()).filter(|namespace| !namespace.is_empty());
        Self {
            at: time(request.map_or(event.time, |request| request.first)),
            actor: event.actor.clone(),
            kind: event.fact.transition().to_owned(),
            application: projection::about(event).map(str::to_owned),
            namespace: own.or_else(|| request?.namespace.as_deref()).map(str::to_owned),
            version: event.fact.version().map(str::to_owned),
            environment: projection::environment(&event.fact).map(str::to_owned),
            object: projection::object(&event.fact),
            digest: event.fact.digest().map(|digest| digest.to_string()),
            digest_before: projection::digest_before(&event.fact).map(|digest| digest.to_string()),
            spec_digest: event.spec.as_ref().map(|spec| spec.digest.to_string()),
            detail: projection::detail(&event.fact),
            address: request.and_then(|request| request.address.clone()),
            request: request.map(|request| AuditRequest {
                method: request.method.clone(),
                path: request.path.clone(),
                status: request.status.map(i64::from),
                stream: request.stream.as_ref().and_then(projection::text),
                count: i64::try_from(request.count).unwrap_or(i64::MAX),
                last_at: time(request.last),
                id: request.request.clone(),
            }),
            journal: event.key.application.clone(),
            seq: i64::try_from(event.seq).unwrap_or(i64::MAX),
            id: event.id.to_string(),
            hash: event.hash().to_string(),
            prev_hash: event.prev_hash.map(|hash| hash.to_string()),
        }
    }
}

/// A time as the tables have it.
fn time(at: jiff::Timestamp) -> String {
    format!("{at:.3}")
}
