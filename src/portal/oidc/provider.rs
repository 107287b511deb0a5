//! An identity provider, as it describes itself and as it is asked.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use reqwest::{RequestBuilder, header};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use url::{Url, form_urlencoded};

use super::{
    id_token::Header,
    keys::{Key, KeySet},
    pending::AllPending,
};
use crate::{registry::readers::Secret, transit::is_private};

/// How long what a provider says of itself stands.
const FRESH: Duration = Duration::from_secs(3600);
/// How soon its keys are asked for again because of a token of an unknown one: anybody could send one.
const AGAIN: Duration = Duration::from_secs(10);
/// How long it stands that a provider did not answer.
const FAILED: Duration = Duration::from_secs(3);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// How a provider is used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What people call it.
    pub name: String,
    /// Its identity, to the letter as its tokens say it.
    pub issuer: String,
    /// Who we are to it.
    pub client_id: String,
    /// What we prove that with, where it wants a proof.
    pub client_secret: Option<Secret>,
    /// What is asked for, `openid` among it.
    pub scopes: Vec<String>,
    /// The claim that is the user's name.
    pub username_claim: String,
    /// What stands before it.
    pub username_prefix: String,
    /// The claim that lists the groups.
    pub groups_claim: String,
    /// What stands before each.
    pub groups_prefix: String,
    /// Where it sends browsers back to.
    pub redirect_uri: Url,
}

/// A provider.
#[derive(Debug)]
pub struct Provider {
    settings: Settings,
    client: reqwest::Client,
    metadata: Said<Metadata>,
    keys: Said<KeySet>,
    pending: AllPending,
}

/// What a provider says of itself (OpenID Connect Discovery 1.0).
#[derive(Debug, Clone, Deserialize)]
pub struct Metadata {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

impl Provider {
    /// A provider that is asked with this client. Nothing is asked yet.
    ///
    /// # Errors
    /// Where nobody could trust what comes from there.
    pub fn new(settings: Settings, client: reqwest::Client) -> anyhow::Result<Self> {
        let issuer: Url = settings.issuer.parse().with_context(|| format!("{} is no URL", settings.issuer))?;
        ensure!(
            is_private(&issuer),
            "{issuer} has to begin with https://: whoever is on the way could sign in as anybody"
        );
        let (metadata, keys, pending) = (Said::default(), Said::default(), AllPending::default());
        Ok(Self { settings, client, metadata, keys, pending })
    }

    /// How it is used.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The sign-ins that have begun.
    pub fn pending(&self) -> &AllPending {
        &self.pending
    }

    /// What it says of itself, read anew now and then.
    ///
    /// # Errors
    /// Where it does not answer, or says that it is another.
    pub async fn metadata(&self) -> anyhow::Result<Metadata> {
        self.metadata.get(|_, age| age < FRESH, self.discover()).await
    }

    async fn discover(&self) -> anyhow::Result<Metadata> {
        let url = format!("{}/.well-known/openid-configuration", self.settings.issuer.trim_end_matches('/'));
        let said = answer(self.client.get(&url)).await.with_context(|| format!("reading {url}"))?;
        let metadata: Metadata = serde_json::from_value(said).with_context(|| format!("{url} cannot be read"))?;
        if metadata.issuer != self.settings.issuer {
            bail!(
                "{url} speaks of the issuer {:?}: give this one as --oidc-issuer if it is the right one",
                metadata.issuer
            );
        }
        for endpoint in [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri] {
            ensure!(is_private(endpoint), "{url} names {endpoint}, which does not begin with https://");
        }
        Ok(metadata)
    }

    /// Where to send a browser.
    pub fn authorization(&self, metadata: &Metadata, state: &Secret, nonce: &Secret, verifier: &Secret) -> Url {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose()));
        let mut url = metadata.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", self.settings.redirect_uri.as_str())
            .append_pair("scope", &self.settings.scopes.join(" "))
            .append_pair("state", state.expose())
            .append_pair("nonce", nonce.expose())
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        url
    }

    /// The ID token for a code.
    ///
    /// # Errors
    /// Where the provider does not give one.
    pub async fn exchange(&self, metadata: &Metadata, code: &str, verifier: &Secret) -> anyhow::Result<Secret> {
        let request = self.token_request(metadata, code, verifier)?;
        let said = answer(request).await.context("exchanging the code for a token")?;
        let Tokens { id_token } = serde_json::from_value(said).context("the provider gave no ID token")?;
        Ok(Secret::new(id_token))
    }

    fn token_request(&self, metadata: &Metadata, code: &str, verifier: &Secret) -> anyhow::Result<RequestBuilder> {
        let Settings { client_id, client_secret, redirect_uri, .. } = &self.settings;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", redirect_uri.as_str())
            .append_pair("code_verifier", verifier.expose());
        let mut request = self.client.post(metadata.token_endpoint.clone());
        let in_form = |methods: &Vec<String>| methods.iter().all(|method| method != "client_secret_basic");
        match client_secret {
            Some(secret) if metadata.token_endpoint_auth_methods_supported.as_ref().is_some_and(in_form) => {
                form.append_pair("client_id", client_id).append_pair("client_secret", secret.expose());
            }
            Some(secret) => {
                let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", encoded(client_id), encoded(secret.expose()));
                let mut value = header::HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)))?;
                value.set_sensitive(true);
                request = request.header(header::AUTHORIZATION, value);
            }
            None => {
                form.append_pair("client_id", client_id);
            }
        }
        Ok(request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.finish()))
    }

    /// The key that a token says it is signed with.
    ///
    /// # Errors
    /// Where the provider does not answer, or has no such key.
    pub async fn key(&self, metadata: &Metadata, header: &Header) -> anyhow::Result<Key> {
        let id = header.kid.as_deref();
        let reading = async {
            let said = answer(self.client.get(metadata.jwks_uri.clone())).await;
            KeySet::read(said.context("reading the provider's keys")?).context("the provider's keys cannot be read")
        };
        let is_good = |keys: &KeySet, age| age < AGAIN || (age < FRESH && keys.find(id).is_some());
        let keys = self.keys.get(is_good, reading).await?;
        keys.find(id).cloned().with_context(|| {
            format!("the provider has no key {:?} for signatures that is understood", id.unwrap_or(""))
        })
    }
}

/// Something that a provider says. One at a time asks for it: however many want to know, the provider is not flooded.
#[derive(Debug)]
struct Said<T>(Mutex<Known<T>>);

#[derive(Debug)]
struct Known<T> {
    value: Option<(Instant, T)>,
    failure: Option<(Instant, String)>,
}

impl<T> Default for Said<T> {
    fn default() -> Self {
        Self(Mutex::new(Known { value: None, failure: None }))
    }
}

impl<T: Clone> Said<T> {
    /// What is known, while it is good at its age; or else what is said now. That nothing was said stands for a moment.
    async fn get(
        &self,
        is_good: impl Fn(&T, Duration) -> bool,
        asking: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let mut known = self.0.lock().await;
        if let Some((since, value)) = &known.value
            && is_good(value, since.elapsed())
        {
            return Ok(value.clone());
        }
        if let Some((since, why)) = &known.failure
            && since.elapsed() < FAILED
        {
            bail!("{why}");
        }
        let said = asking.await;
        match &said {
            Ok(value) => *known = Known { value: Some((Instant::now(), value.clone())), failure: None },
            Err(error) => known.failure = Some((Instant::now(), format!("{error:#}"))),
        }
        said
    }
}

/// What the provider answers, as JSON.
async fn answer(request: RequestBuilder) -> anyhow::Result<Value> {
    let request = request.header(header::ACCEPT, "application/json");
    let mut response = request.send().await.map_err(reqwest::Error::without_url)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        ensure!(body.len() + chunk.len() <= MAX_ANSWER, "the answer is longer than {MAX_ANSWER} bytes");
        body.extend_from_slice(&chunk);
    }
    let said: Result<Value, _> = serde_json::from_slice(&body);
    if !status.is_success() {
        // Of all that it may say, what the specification has for it; the rest could hold anything.
        let error = said.ok().and_then(|said| Some(said.get("error")?.as_str()?.chars().take(80).collect::<String>()));
        bail!("the answer is {status}{}", error.map(|error| format!(" ({error})")).unwrap_or_default());
    }
    said.context("the answer is no JSON")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_provider_is_asked_by_one_at_a_time_and_not_again_while_it_fails() {
        let (said, asked) = (Said::<usize>::default(), AtomicUsize::new(0));
        let ask = |fails: bool| {
            let (said, asked) = (&said, &asked);
            let asking = async move {
                tokio::task::yield_now().await;
                let count = asked.fetch_add(1, Ordering::Relaxed) + 1;
                if fails { bail!("no answer {count}") } else { Ok(count) }
            };
            said.get(|_, age| age < FRESH, asking)
        };
        let (one, other) = tokio::join!(ask(true), ask(true));
        assert_eq!((one.unwrap_err().to_string(), other.unwrap_err().to_string()), twice("no answer 1"));
        let known = said.0.lock().await.failure.clone().unwrap();
        said.0.lock().await.failure = Some((known.0 - FAILED, known.1));
        let (one, other) = tokio::join!(ask(false), ask(false));
        assert_eq!((one.unwrap(), other.unwrap()), (2, 2));
    }

    fn twice(text: &str) -> (String, String) {
        (text.to_owned(), text.to_owned())
    }
}
