//! Whether an ID token is the provider's word on who has signed in just now: a pure decision (OpenID Connect Core 1.0,
//! 3.1.3.7).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{keys::Key, provider::Settings};
use crate::{portal::sessions::User, registry::readers::Secret};

/// How far the provider's clock may be from ours.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);

/// Why it is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unbelievable {
    /// It is no signed token.
    #[error("the ID token is no JSON Web Token that is signed")]
    Form,
    /// The provider has not signed it.
    #[error("the ID token's signature ({0}) is not the provider's")]
    Signature(String),
    /// A claim is missing.
    #[error("the ID token has no usable claim {0:?}")]
    Missing(String),
    /// It is by somebody else.
    #[error("the ID token is issued by {0:?}")]
    Issuer(String),
    /// It is for somebody else.
    #[error("the ID token is not for this client")]
    Audience,
    /// It is over, or not yet.
    #[error("the ID token is not good now: is this machine's clock right?")]
    Time,
    /// It was given out for another sign-in.
    #[error("the ID token is not of this sign-in")]
    Nonce,
    /// Anybody could have written that address.
    #[error("the ID token does not say that the address is verified (email_verified)")]
    Email,
}

/// What a token says of its signature.
#[derive(Debug, Deserialize)]
pub struct Header {
    alg: String,
    /// Which key.
    pub kid: Option<String>,
    /// Extensions that have to be understood; none is.
    crit: Option<Value>,
}

/// A token whose signature was not looked at yet.
#[derive(Debug)]
pub struct Signed<'a> {
    /// What it says of its signature.
    pub header: Header,
    message: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

/// Takes a token apart.
///
/// # Errors
/// [`Unbelievable::Form`]
pub fn parse(token: &str) -> Result<Signed<'_>, Unbelievable> {
    let read = || {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        (!payload.contains('.') && header.crit.is_none()).then_some(Signed { header, message, payload, signature })
    };
    read().ok_or(Unbelievable::Form)
}

impl Signed<'_> {
    /// What it says, if this key has signed it.
    ///
    /// # Errors
    /// [`Unbelievable::Signature`]
    pub fn verified(&self, key: &Key) -> Result<Map<String, Value>, Unbelievable> {
        if !key.has_signed(&self.header.alg, self.message.as_bytes(), &self.signature) {
            return Err(Unbelievable::Signature(self.header.alg.chars().take(16).collect()));
        }
        let payload = URL_SAFE_NO_PAD.decode(self.payload).map_err(|_| Unbelievable::Form)?;
        serde_json::from_slice(&payload).map_err(|_| Unbelievable::Form)
    }
}

/// Who has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdToken {
    /// The user, with the prefixes of the settings.
    pub user: User,
    /// Until when the provider's word stands.
    pub expires_at: Timestamp,
}

/// What a token has to say.
#[derive(Debug)]
pub struct Expected<'a> {
    /// Of which provider, for which client.
    pub settings: &'a Settings,
    /// Of which sign-in.
    pub nonce: &'a Secret,
    /// When.
    pub now: Timestamp,
}

impl Expected<'_> {
    /// Who it is, if the claims are what they have to be.
    ///
    /// # Errors
    /// Why they are not.
    pub fn accept(&self, claims: &Map<String, Value>) -> Result<IdToken, Unbelievable> {
        let Settings { issuer, client_id, .. } = self.settings;
        let missing = |name: &str| Unbelievable::Missing(name.to_owned());
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let time = |name: &str| Timestamp::from_second(claims.get(name)?.as_f64()? as i64).ok();

        let by = text("iss").ok_or_else(|| missing("iss"))?;
        if by != issuer {
            return Err(Unbelievable::Issuer(by.chars().take(200).collect()));
        }
        let audience: Vec<&str> = match claims.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => return Err(missing("aud")),
        };
        let party = text("azp");
        let ours = party.is_none_or(|party| party == client_id) && (audience.len() == 1 || party.is_some());
        if !audience.contains(&client_id.as_str()) || !ours {
            return Err(Unbelievable::Audience);
        }
        let expires_at = time("exp").ok_or_else(|| missing("exp"))?;
        let issued_at = time("iat").ok_or_else(|| missing("iat"))?;
        let not_before = time("nbf").unwrap_or(issued_at);
        // What a provider says may be any time; ours has room on both sides.
        if self.now - LEEWAY >= expires_at || issued_at > self.now + LEEWAY || not_before > self.now + LEEWAY {
            return Err(Unbelievable::Time);
        }
        if !text("nonce").is_some_and(|nonce| self.nonce.matches(&Secret::new(nonce))) {
            return Err(Unbelievable::Nonce);
        }
        Ok(IdToken { user: self.user(claims)?, expires_at })
    }

    fn user(&self, claims: &Map<String, Value>) -> Result<User, Unbelievable> {
        let Settings { username_claim, username_prefix, groups_claim, groups_prefix, .. } = self.settings;
        let name = claims.get(username_claim).and_then(Value::as_str).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Unbelievable::Missing(username_claim.clone()))?;
        if username_claim == "email" && claims.get("email_verified") != Some(&Value::Bool(true)) {
            return Err(Unbelievable::Email);
        }
        let groups = match claims.get(groups_claim) {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let groups = groups.into_iter().filter(|group| !group.is_empty());
        let groups = groups.map(|group| format!("{groups_prefix}{group}")).collect();
        Ok(User { name: format!("{username_prefix}{name}"), groups })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::portal::oidc::{keys::KeySet, tests::settings};

    fn now() -> Timestamp {
        Timestamp::from_second(1_767_225_600).unwrap()
    }

    fn good() -> Value {
        let now = now().as_second();
        json!({
            "iss": "https://id.example", "aud": "orbit", "exp": now + 300, "iat": now, "nonce": "n",
            "sub": "u1", "email": "maria@shop.example", "email_verified": true, "groups": ["dev", "", 7],
        })
    }

    fn accept(claims: &Value, change: impl FnOnce(&mut Settings)) -> Result<IdToken, Unbelievable> {
        let mut settings = settings("https://id.example");
        change(&mut settings);
        let nonce = Secret::new("n");
        Expected { settings: &settings, nonce: &nonce, now: now() }.accept(claims.as_object().unwrap())
    }

    #[test]
    fn a_good_token_names_a_user_and_their_groups() {
        let token = accept(&good(), |_| {}).unwrap();
        assert_eq!((token.user.name.as_str(), token.user.groups), ("maria@shop.example", vec!["dev".to_owned()]));
        assert_eq!(token.expires_at, now() + SignedDuration::from_secs(300));
        let prefixed = accept(&good(), |settings| {
            settings.username_claim = "sub".into();
            (settings.username_prefix, settings.groups_prefix) = ("id:".into(), "id:".into());
        });
        assert_eq!(prefixed.unwrap().user, User { name: "id:u1".into(), groups: vec!["id:dev".into()] });
    }

    #[test]
    fn what_is_not_as_it_has_to_be_is_not_believed() {
        let now = now().as_second();
        let missing = |name: &str| Unbelievable::Missing(name.into());
        for (claim, value, expected) in [
            ("iss", json!("https://id.example/"), Unbelievable::Issuer("https://id.example/".into())),
            ("iss", Value::Null, missing("iss")),
            ("aud", json!("other"), Unbelievable::Audience),
            ("aud", json!([]), Unbelievable::Audience),
            ("aud", json!(["orbit", "other"]), Unbelievable::Audience),
            ("azp", json!("other"), Unbelievable::Audience),
            ("aud", Value::Null, missing("aud")),
            ("exp", json!(now - 60), Unbelievable::Time),
            ("exp", Value::Null, missing("exp")),
            ("iat", json!(now + 120), Unbelievable::Time),
            ("nbf", json!(now + 120), Unbelievable::Time),
            ("nonce", json!("m"), Unbelievable::Nonce),
            ("nonce", Value::Null, Unbelievable::Nonce),
            ("email", Value::Null, missing("email")),
            ("email_verified", json!(false), Unbelievable::Email),
            ("email_verified", Value::Null, Unbelievable::Email),
            ("email_verified", json!("true"), Unbelievable::Email),
        ] {
            let mut claims = good();
            claims[claim] = value.clone();
            assert_eq!(accept(&claims, |_| {}), Err(expected), "{claim}: {value}");
        }
        let mut several = good();
        (several["aud"], several["azp"]) = (json!(["orbit", "other"]), json!("orbit"));
        assert!(accept(&several, |_| {}).is_ok());
    }

    /// Made once with openssl: a key of 2048 bits, `{"alg":"RS256","kid":"r"}` and `{"sub":"u1"}`.
    const RSA: (&str, &str) = (include_str!("testdata/rsa.jwks.json"), include_str!("testdata/rsa.jwt"));

    #[test]
    fn a_signature_is_the_keys_and_the_algorithms() {
        let keys = KeySet::read(serde_json::from_str(RSA.0).unwrap()).unwrap();
        let token = RSA.1.trim();
        let signed = parse(token).unwrap();
        let key = keys.find(signed.header.kid.as_deref()).unwrap();
        assert_eq!(signed.verified(key).unwrap()["sub"], "u1");

        let [header, payload, signature]: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let other_user = encode(r#"{"sub":"u2"}"#);
        for forged in [
            format!("{header}.{other_user}.{signature}"),
            format!("{}.{payload}.{signature}", encode(r#"{"alg":"RS512","kid":"r"}"#)),
            format!("{}.{payload}.", encode(r#"{"alg":"none","kid":"r"}"#)),
            // The public key as a shared secret.
            format!("{}.{payload}.{signature}", encode(r#"{"alg":"HS256","kid":"r"}"#)),
            format!("{}.{payload}.{signature}", encode(r#"{"alg":"ES256","kid":"r"}"#)),
        ] {
            assert!(parse(&forged).unwrap().verified(key).is_err(), "{forged}");
        }
        for broken in [
            "",
            "a.b",
            "a.b.c",
            &format!("{}.{payload}.{signature}", encode(r#"{"alg":"RS256","crit":["x"]}"#)),
            &format!("{token}.x"),
        ] {
            assert!(parse(broken).is_err(), "{broken}");
        }
        assert!(keys.find(Some("other")).is_none());
    }
}
