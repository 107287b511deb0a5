//! The journal's events, to whoever may see uploads and environments: of one namespace there, and of what belongs to none
//! everywhere.

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use schemars::JsonSchema;
use serde::Deserialize;

use super::applications::page;
use crate::{
    portal::{
        Portal,
        access::Right,
        extract::{self, Named, name},
        problem::Problem,
        visitor::Visitor,
    },
    viewport::{AuditEvent, AuditFilter, MAX_LIMIT, PageRequest, Shown, Viewport, ViewportError, csv},
};

/// What whoever sees the journal has to be allowed.
const RIGHTS: [Right; 2] = [Right::GetUploads, Right::ListOverlays];

/// Which events.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Of one application.
    application: Option<String>,
    /// Of one actor.
    actor: Option<String>,
    /// Of one type, as in `stored` or `selected`; `request` for requests to the plane's own API.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Whether requests are among them, too, where no type is said.
    #[serde(default)]
    requests: bool,
    /// How to send them.
    #[serde(default)]
    format: Format,
    /// How many at most: 1 to 200, else 50.
    limit: Option<u32>,
    /// `continue` of the page before.
    #[serde(rename = "continue")]
    after: Option<String>,
}

/// Which requests that belong to no namespace.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskedOfAll {
    /// Of one actor.
    actor: Option<String>,
    /// How to send them.
    #[serde(default)]
    format: Format,
    /// How many at most: 1 to 200, else 50.
    limit: Option<u32>,
    /// `continue` of the page before.
    #[serde(rename = "continue")]
    after: Option<String>,
}

/// How to send events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// A page.
    #[default]
    Json,
    /// All, one JSON object a line.
    Jsonl,
    /// All, as comma-separated values.
    Csv,
}

/// `GET …/audit`
pub async fn list(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    Named(namespace): Named<String>,
    extract::Asked(asked): extract::Asked<Asked>,
) -> Result<Response, Problem> {
    portal.access().require(&session, &RIGHTS, name("a namespace", &namespace)?).await?;
    let Asked { application, actor, kind, requests, format, limit, after } = asked;
    let requests = if requests { Shown::Yes } else { Shown::No };
    answer(&portal, namespace, AuditFilter { application, actor, kind, requests }, (format, limit, after)).await
}

/// `GET /audit`
pub async fn of_all(
    State(portal): State<Portal>,
    Visitor(session): Visitor,
    extract::Asked(asked): extract::Asked<AskedOfAll>,
) -> Result<Response, Problem> {
    portal.access().require_everywhere(&session, &RIGHTS).await?;
    let filter = AuditFilter { actor: asked.actor, requests: Shown::Yes, ..AuditFilter::default() };
    answer(&portal, String::new(), filter, (asked.format, asked.limit, asked.after)).await
}

async fn answer(
    portal: &Portal,
    namespace: String,
    filter: AuditFilter,
    (format, limit, after): (Format, Option<u32>, Option<String>),
) -> Result<Response, Problem> {
    if format == Format::Json {
        let page = portal.viewport().audit(&namespace, &filter, &page(limit, after)?).await?;
        return Ok(Json(page).into_response());
    }
    if limit.is_some() || after.is_some() {
        return Err(Problem::bad_request("a file holds all events: leave limit and continue out"));
    }
    all(portal.viewport().clone(), namespace, filter, format).await
}

/// Where an export stands.
struct Export {
    viewport: Viewport,
    namespace: String,
    filter: AuditFilter,
    format: Format,
    next: Option<PageRequest>,
}

impl Export {
    /// The next lines; none after the last.
    async fn lines(&mut self) -> Result<Option<Bytes>, ViewportError> {
        let Some(request) = self.next.take() else { return Ok(None) };
        let page = self.viewport.audit(&self.namespace, &self.filter, &request).await?;
        let heading = (self.format == Format::Csv && request.after.is_none()).then(csv::heading);
        self.next = page.next.map(|after| PageRequest { limit: MAX_LIMIT, after: Some(after) });
        let line = |event: &AuditEvent| match self.format {
            Format::Csv => csv::line(event),
            _ => serde_json::to_string(event).unwrap_or_default() + "\n",
        };
        Ok(Some(heading.into_iter().chain(page.items.iter().map(line)).collect::<String>().into()))
    }
}

async fn all(viewport: Viewport, namespace: String, filter: AuditFilter, format: Format) -> Result<Response, Problem> {
    let next = Some(PageRequest { limit: MAX_LIMIT, after: None });
    let mut export = Export { viewport, namespace, filter, format, next };
    // What goes wrong at once is a problem; what goes wrong later breaks the answer off, so that nobody takes it for
    // the whole.
    let first = export.lines().await?.unwrap_or_default();
    let rest = stream::try_unfold(export, |mut export: Export| async move {
        let lines = export.lines().await?;
        Ok::<_, ViewportError>(lines.map(|lines| (lines, export)))
    });
    let body = stream::once(async { Ok(first) }).chain(rest);
    let (kind, ending) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "csv"),
        _ => ("application/x-ndjson", "jsonl"),
    };
    let mut response = Body::from_stream(body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"audit.{ending}\"")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}
