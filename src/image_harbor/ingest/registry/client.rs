//! Reading from a registry (OCI Distribution specification 1.1, "Pull"), with Docker's token flow.
//!
//! `oci-client` takes manifests and error pages of any size into memory and turns a failing token service into "not
//! authorized", so the few requests that a pull needs are made here.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use reqwest::{
    RequestBuilder, Response, StatusCode, Url,
    header::{ACCEPT, CONTENT_TYPE, WWW_AUTHENTICATE},
    redirect,
};
use serde::Deserialize;
use tokio::sync::RwLock;

use super::{
    RegistryAuth,
    address::{Address, is_plain},
};
use crate::{
    digest::Digest,
    image_harbor::{
        ByteStream, HarborError,
        ingest::{IngestError, Limits, document::media_type},
    },
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Without a byte for so long a transfer is dead.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const REDIRECTS_MAX: usize = 5;
/// Bytes of an error page or token that are read.
const REPLY_MAX: u64 = 64 * 1024;

/// Reads one repository.
pub(super) struct Client {
    http: reqwest::Client,
    host: String,
    /// `https://host/v2/repository`.
    base: String,
    repository: String,
    auth: RegistryAuth,
    plain_http: Vec<String>,
    /// What the registry wants to see in `Authorization`, once it has said so.
    granted: RwLock<Option<Grant>>,
}

#[derive(Clone)]
enum Grant {
    Bearer(String),
    Basic,
}

/// What a registry asks for (RFC 9110, "WWW-Authenticate").
enum Challenge {
    Bearer { realm: String, service: Option<String> },
    Basic,
}

impl Challenge {
    /// The first one that can be answered.
    fn of(headers: &[String]) -> Option<Self> {
        for challenge in headers.iter().flat_map(|text| http_auth::parse_challenges(text).unwrap_or_default()) {
            let param = |name: &str| {
                let mut params = challenge.params.iter();
                params.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_unescaped())
            };
            if challenge.scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = param("realm")
            {
                return Some(Self::Bearer { realm, service: param("service") });
            }
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                return Some(Self::Basic);
            }
        }
        None
    }
}

/// A manifest as the registry sent it.
pub(super) struct Found {
    pub bytes: Bytes,
    pub media_type: String,
}

impl Client {
    pub(super) fn new(address: &Address, auth: &RegistryAuth, limits: &Limits) -> Result<Self, IngestError> {
        // Somebody else may have installed a provider before; theirs is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let plain_http = limits.plain_http.clone();
        let http = reqwest::Client::builder()
            .user_agent(concat!("orbit-plane/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(IDLE_TIMEOUT)
            .referer(false)
            // reqwest drops credentials when a redirect leaves the host; TLS must not be dropped either.
            .redirect(redirect::Policy::custom(move |attempt| {
                if attempt.previous().len() > REDIRECTS_MAX {
                    attempt.error("too many redirects")
                } else if !may_follow(attempt.url(), &plain_http) {
                    attempt.error("a redirect leads to plain HTTP")
                } else {
                    attempt.follow()
                }
            }))
            .build()
            .map_err(|error| IngestError::RegistryUnavailable(format!("no HTTP client can be made: {error}")))?;
        Ok(Self {
            http,
            host: address.host.clone(),
            base: address.base(&limits.plain_http),
            repository: address.repository.clone(),
            auth: auth.clone(),
            plain_http: limits.plain_http.clone(),
            granted: RwLock::new(None),
        })
    }

    /// A manifest or index by tag or digest.
    pub(super) async fn manifest(&self, object: &str, limit: u64) -> Result<Found, IngestError> {
        let separator = if object.starts_with("sha256:") { '@' } else { ':' };
        let what = format!("{}/{}{separator}{object}", self.host, self.repository);
        let invalid = |fault: String| IngestError::ImageInvalid(format!("{what} {fault}"));
        let response = self.get(&format!("{}/manifests/{object}", self.base), &what).await?;
        let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let content_type = header(CONTENT_TYPE.as_str()).unwrap_or_default();
        let media_type = content_type.split(';').next().unwrap_or_default().trim().to_owned();
        let said = header("docker-content-digest").filter(|digest| digest.starts_with("sha256:"));
        let bytes = self.body(response, limit).await?;
        let bytes = bytes.ok_or_else(|| invalid(format!("has a manifest of more than {limit} bytes")))?;
        let found = Digest::of(&bytes).to_string();
        if let Some(said) = said.filter(|said| *said != found) {
            return Err(invalid(format!("is {said} by the registry's word, but what it sent is {found}")));
        }
        Ok(Found { bytes, media_type })
    }

    /// A config or layer.
    pub(super) async fn blob(&self, digest: &Digest) -> Result<ByteStream, IngestError> {
        let what = format!("blob {digest} of {}/{}", self.host, self.repository);
        let response = self.get(&format!("{}/blobs/{digest}", self.base), &what).await?;
        let bytes = response.bytes_stream();
        Ok(Box::pin(bytes.map_err(|error| HarborError::Source(io::Error::other(error.without_url())))))
    }

    /// The transfer of a blob broke off.
    pub(super) fn interrupted(&self, error: &io::Error) -> IngestError {
        IngestError::RegistryUnavailable(format!("the registry {} broke off a transfer: {}", self.host, causes(error)))
    }

    async fn get(&self, url: &str, what: &str) -> Result<Response, IngestError> {
        let granted = self.granted.read().await.clone();
        let response = self.send(self.request(url, granted.as_ref())).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return self.accepted(response, what).await;
        }
        // The first request, or a token that expired in the middle of a long pull.
        let challenges = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenges: Vec<_> = challenges.filter_map(|v| Some(v.to_str().ok()?.to_owned())).collect();
        let Some(grant) = self.grant(&challenges).await? else {
            return self.accepted(response, what).await;
        };
        let response = self.send(self.request(url, Some(&grant))).await?;
        *self.granted.write().await = Some(grant);
        self.accepted(response, what).await
    }

    fn request(&self, url: &str, grant: Option<&Grant>) -> RequestBuilder {
        let request = self.http.get(url).header(ACCEPT, media_type::MANIFESTS.join(", "));
        match (grant, &self.auth) {
            (Some(Grant::Bearer(token)), _) => request.bearer_auth(token),
            (Some(Grant::Basic), RegistryAuth::Basic { username, password }) => {
                request.basic_auth(username, Some(password))
            }
            _ => request,
        }
    }

    /// Answers the registry's challenge; none when it asks for what nobody gave.
    async fn grant(&self, challenges: &[String]) -> Result<Option<Grant>, IngestError> {
        match Challenge::of(challenges) {
            Some(Challenge::Bearer { realm, service }) => self.token(&realm, service).await.map(Some),
            Some(Challenge::Basic) if self.auth != RegistryAuth::Anonymous => Ok(Some(Grant::Basic)),
            _ => Ok(None),
        }
    }

    /// A token for reading the repository (Docker Registry v2, "Token Authentication Specification").
    async fn token(&self, realm: &str, service: Option<String>) -> Result<Grant, IngestError> {
        #[derive(Deserialize)]
        struct Token {
            token: Option<String>,
            access_token: Option<String>,
        }
        let unusable = |why: &str| {
            IngestError::RegistryUnavailable(format!("the token service of the registry {} {why}", self.host))
        };
        let mut url: Url = realm.parse().map_err(|_| unusable("is named by no URL"))?;
        if !may_follow(&url, &self.plain_http) {
            return Err(unusable("is without TLS: credentials are not sent to it"));
        }
        url.query_pairs_mut().append_pair("scope", &format!("repository:{}:pull", self.repository));
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", &service);
        }
        let response = self.send(self.request(url.as_str(), Some(&Grant::Basic))).await?;
        let response = self.accepted(response, &format!("a token for {}", self.repository)).await?;
        let body = self.body(response, REPLY_MAX).await?.ok_or_else(|| unusable("sent too long a token"))?;
        // The parser's message is left out: it may quote the token.
        let token: Token = serde_json::from_slice(&body).map_err(|_| unusable("did not send a token"))?;
        token.token.or(token.access_token).map(Grant::Bearer).ok_or_else(|| unusable("did not send a token"))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, IngestError> {
        request.send().await.map_err(|error| self.unreachable(error))
    }

    /// A URL may carry a signature, so errors are shown without it.
    fn unreachable(&self, error: reqwest::Error) -> IngestError {
        let cause = causes(&error.without_url());
        IngestError::RegistryUnavailable(format!("the registry {} cannot be reached: {cause}", self.host))
    }

    /// What the registry's status means.
    async fn accepted(&self, response: Response, what: &str) -> Result<Response, IngestError> {
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(response);
        }
        let said = self.explanation(response).await;
        let host = &self.host;
        Err(match (status, &self.auth) {
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, RegistryAuth::Anonymous) => {
                IngestError::Unauthorized(format!(
                    "the registry {host} does not give {what} to anybody, or has no such image ({status}{said}): name a pull secret, or check the reference"
                ))
            }
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, RegistryAuth::Basic { .. }) => {
                IngestError::Unauthorized(format!(
                    "the registry {host} refused the pull secret's credentials for {what} ({status}{said}): check the secret"
                ))
            }
            (StatusCode::NOT_FOUND, _) => IngestError::ImageNotFound(format!(
                "the registry {host} has no {what} ({status}{said}): check the reference"
            )),
            (StatusCode::TOO_MANY_REQUESTS, _) => IngestError::RegistryUnavailable(format!(
                "the registry {host} limits requests ({status}{said}): it is tried again later, a pull secret may raise the limit"
            )),
            _ => {
                IngestError::RegistryUnavailable(format!("the registry {host} failed to give {what} ({status}{said})"))
            }
        })
    }

    /// The registry's own words, as far as they are fit to be shown.
    async fn explanation(&self, response: Response) -> String {
        #[derive(Deserialize)]
        struct Reply {
            errors: Vec<Detail>,
        }
        #[derive(Deserialize)]
        struct Detail {
            message: Option<String>,
        }
        let body = self.body(response, REPLY_MAX).await.ok().flatten().unwrap_or_default();
        let reply: Option<Reply> = serde_json::from_slice(&body).ok();
        let message = reply.and_then(|r| r.errors.into_iter().find_map(|d| d.message)).filter(|m| !m.is_empty());
        let clean = |text: String| text.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
        message.map(|text| format!(", {:?}", clean(text))).unwrap_or_default()
    }

    /// A body, or none when it is longer than `limit`.
    async fn body(&self, response: Response, limit: u64) -> Result<Option<Bytes>, IngestError> {
        let mut bytes = BytesMut::new();
        let mut chunks = response.bytes_stream();
        while let Some(chunk) = chunks.try_next().await.map_err(|error| self.unreachable(error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > limit {
                return Ok(None);
            }
        }
        Ok(Some(bytes.freeze()))
    }
}

/// Whether requests may go to a URL that a registry named.
fn may_follow(url: &Url, plain_http: &[String]) -> bool {
    let Some(host) = url.host_str() else { return false };
    let host = url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
    url.scheme() == "https" || (url.scheme() == "http" && is_plain(&host, plain_http))
}

/// An error with its causes: the outermost one of an HTTP client says only that a request failed.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    text
}
