//! The tags of a repository, in pages.

use axum::{
    Json,
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{describe, parameter, refusal::Refusal};
use crate::registry::{
    Registry,
    repository::{Collection, Repository},
};

/// Tags in an answer at most.
const MAX_PAGE: usize = 1000;

/// `GET` of the tags: the first `n` after `last`.
pub async fn list(registry: &Registry, repository: &Repository, query: &str) -> Result<Response, Refusal> {
    let limit = match parameter(query, "n") {
        None => MAX_PAGE,
        Some(text) => text.parse::<usize>().map_err(|_| Refusal::PageSizeInvalid)?.min(MAX_PAGE),
    };
    if registry.chart_store().head(&repository.key).await?.is_none() {
        return Err(Refusal::NameUnknown);
    }
    let last = parameter(query, "last").filter(|last| !last.is_empty());
    // One more than asked for tells whether another page follows.
    let mut tags = match limit {
        0 => Vec::new(),
        limit => first(registry, repository, last, limit + 1).await?,
    };
    let more = tags.len() > limit;
    tags.truncate(limit);
    let next = tags.last().filter(|_| more).map(|last| {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("n", &limit.to_string())
            .append_pair("last", last)
            .finish();
        format!("</v2/{repository}/tags/list?{query}>; rel=\"next\"")
    });
    let mut response = Json(json!({"name": repository.to_string(), "tags": tags})).into_response();
    if let Some(next) = next {
        describe(response.headers_mut(), [(header::LINK, next)]);
    }
    Ok(response)
}

/// The first so many tags after one, in the order of their text.
async fn first(
    registry: &Registry,
    repository: &Repository,
    mut after: Option<String>,
    count: usize,
) -> Result<Vec<String>, Refusal> {
    let (store, key) = (registry.chart_store(), &repository.key);
    if repository.collection == Collection::Overlays {
        // An application has few environments: they are read at once.
        let records = store.environments(key).await?.into_iter();
        let rendered = records.filter(|record| !record.removed && record.rendered.is_some());
        let mut tags: Vec<String> = rendered.map(|record| record.environment).collect();
        tags.sort();
        return Ok(tags.into_iter().filter(|tag| after.as_ref().is_none_or(|after| tag > after)).take(count).collect());
    }
    let mut tags = Vec::new();
    loop {
        let page = store.releases(key, after.as_deref(), count - tags.len()).await?;
        let standing = page.items.into_iter().filter(|record| record.purged_at.is_none());
        tags.extend(
            standing
                .filter(|record| repository.collection == Collection::Images || record.chart.is_some())
                .map(|record| record.release.version),
        );
        after = page.next;
        if tags.len() >= count || after.is_none() {
            return Ok(tags);
        }
    }
}
