//! Blobs: streamed out of the Harbor, all of them or a range, or fetched from where the Harbor keeps them.

use axum::{
    body::Body,
    http::{Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::TryStreamExt;

use super::{byte_range::Asked, describe, manifests, refusal::Refusal};
use crate::{
    digest::Digest,
    image_harbor::stream_of,
    registry::{
        Registry,
        repository::{Collection, Repository},
        upload::CONTENT_DIGEST,
    },
};

/// Where a blob lies.
enum Found {
    /// In the Harbor, with so many bytes.
    Harbor(u64),
    /// In the Chart Store, which keeps small charts.
    Package(Bytes),
}

impl Found {
    fn size(&self) -> u64 {
        match self {
            Self::Harbor(size) => *size,
            Self::Package(bytes) => bytes.len() as u64,
        }
    }
}

/// `GET` or `HEAD` of a blob.
pub async fn get(
    registry: &Registry,
    repository: &Repository,
    digest: &Digest,
    parts: &Parts,
) -> Result<Response, Refusal> {
    let found = find(registry, repository, digest).await?.ok_or(Refusal::BlobUnknown)?;
    let size = found.size();
    let head = parts.method == Method::HEAD;
    // A range is of GET alone (RFC 9110, 14.2), and of what `If-Range` names alone: blobs have no validators.
    let may_be_part = !head && !parts.headers.contains_key(header::IF_RANGE);
    let range = parts.headers.get(header::RANGE).filter(|_| may_be_part).and_then(|range| range.to_str().ok());
    let asked = Asked::of(range, size);
    if !head
        && let Found::Harbor(_) = found
        && let Some(url) = registry.elsewhere(digest, &parts.headers).await?
    {
        let mut response = StatusCode::TEMPORARY_REDIRECT.into_response();
        describe(response.headers_mut(), [(header::LOCATION, url.into()), (CONTENT_DIGEST, digest.to_string())]);
        return Ok(response);
    }
    let (status, range) = match asked {
        Asked::All => (StatusCode::OK, 0..size),
        Asked::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Asked::None => return Err(Refusal::OutOfRange { size }),
    };
    let body = match found {
        _ if head => Body::empty(),
        Found::Harbor(_) => {
            let bytes = registry.harbor().read(digest, Some(range.clone())).await?;
            let digest = *digest;
            // The status is long sent: the client notices by the length that the rest is missing.
            Body::from_stream(
                bytes.inspect_err(move |error| tracing::warn!(%digest, "reading a blob broke off: {error}")),
            )
        }
        Found::Package(bytes) => Body::from_stream(stream_of(bytes.slice(range.start as usize..range.end as usize))),
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    describe(
        headers,
        [
            (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
            (header::CONTENT_LENGTH, (range.end - range.start).to_string()),
            (header::ACCEPT_RANGES, "bytes".to_owned()),
            (CONTENT_DIGEST, digest.to_string()),
        ],
    );
    if status == StatusCode::PARTIAL_CONTENT {
        let of = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        describe(headers, [(header::CONTENT_RANGE, of)]);
    }
    Ok(response)
}

/// The blob, if this repository may give it.
async fn find(registry: &Registry, repository: &Repository, digest: &Digest) -> Result<Option<Found>, Refusal> {
    let store = registry.chart_store();
    if !store.is_linked(&repository.key, digest).await? {
        return match repository.collection {
            Collection::Charts => Ok(store.chart_package_by_digest(&repository.key, digest).await?.map(Found::Package)),
            _ => Ok(None),
        };
    }
    let Some(size) = registry.harbor().stat(digest).await? else { return Ok(None) };
    if is_elsewhere(registry, repository, digest, size).await? {
        return Ok(None);
    }
    Ok(Some(Found::Harbor(size)))
}

/// Whether it is a manifest of another collection: whoever may read here need not be one who may read there, and what
/// the manifest names could be read by then.
async fn is_elsewhere(
    registry: &Registry,
    repository: &Repository,
    digest: &Digest,
    size: u64,
) -> Result<bool, Refusal> {
    if size == 0 || size > manifests::MAX_MANIFEST {
        return Ok(false);
    }
    // Most blobs are layers: their first byte tells that they are no JSON object.
    let mut first = registry.harbor().read(digest, Some(0..1)).await?;
    if first.try_next().await?.is_none_or(|byte| !matches!(byte.first(), Some(b'{' | b' ' | b'\t' | b'\r' | b'\n'))) {
        return Ok(false);
    }
    let document = manifests::read(registry, repository, digest).await?.unwrap_or_default();
    Ok(manifests::kind(&document).is_some_and(|(_, collection)| collection != repository.collection))
}
