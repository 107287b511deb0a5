//! The journal's events, to whoever may see uploads and environments.

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
    viewport::{AuditEvent, AuditFilter, MAX_LIMIT, PageRequest, Viewport, ViewportError},
};

/// Which events.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Of one application.
    application: Option<String>,
    /// Of one actor.
    actor: Option<String>,
    /// Of one type, as in `stored` or `selected`.
    #[serde(rename = "type")]
    kind: Option<String>,
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
    let rights = [Right::GetUploads, Right::ListOverlays];
    portal.access().require(&session, &rights, name("a namespace", &namespace)?).await?;
    let filter = AuditFilter { application: asked.application, actor: asked.actor, kind: asked.kind };
    if asked.format == Format::Json {
        let page = portal.viewport().audit(&namespace, &filter, &page(asked.limit, asked.after)?).await?;
        return Ok(Json(page).into_response());
    }
    if asked.limit.is_some() || asked.after.is_some() {
        return Err(Problem::bad_request("a file holds all events: leave limit and continue out"));
    }
    all(portal.viewport().clone(), namespace, filter, asked.format).await
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
        let heading = (self.format == Format::Csv && request.after.is_none()).then(heading);
        self.next = page.next.map(|after| PageRequest { limit: MAX_LIMIT, after: Some(after) });
        let line = |event: &AuditEvent| match self.format {
            Format::Csv => csv(event),
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

const COLUMNS: [&str; 12] = [
    "at",
    "actor",
    "type",
    "application",
    "version",
    "environment",
    "digest",
    "detail",
    "seq",
    "id",
    "hash",
    "prevHash",
];

fn heading() -> String {
    COLUMNS.join(",") + "\r\n"
}

/// A line of RFC 4180.
fn csv(event: &AuditEvent) -> String {
    let seq = event.seq.to_string();
    let fields: [Option<&str>; 12] = [
        Some(event.at.as_str()),
        Some(&event.actor),
        Some(&event.kind),
        Some(&event.application),
        event.version.as_deref(),
        event.environment.as_deref(),
        event.digest.as_deref(),
        event.detail.as_deref(),
        Some(&seq),
        Some(&event.id),
        Some(&event.hash),
        event.prev_hash.as_deref(),
    ];
    fields.map(|field| field.map(quoted).unwrap_or_default()).join(",") + "\r\n"
}

/// A field in quotes where it needs them. What a spreadsheet would take for a formula is made text.
fn quoted(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let field = if formula { format!("'{field}") } else { field.to_owned() };
    if formula || field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_what_they_were_and_no_formulas() {
        for (field, expected) in [
            ("web", "web"),
            ("a,b", "\"a,b\""),
            ("say \"no\"\n", "\"say \"\"no\"\"\n\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("@maria", "\"'@maria\""),
        ] {
            assert_eq!(quoted(field), expected);
        }
    }
}
