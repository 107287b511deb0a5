//! The registry's own tokens: what they open is written in them, and that it was this process that wrote it.
//!
//! A token is `orbit.<grant>.<mac>`. Nothing is kept of it, so that it cannot be taken back: it is good for five minutes.
//! The key is the process's own; after a restart clients ask for new tokens, as they do whenever one has expired.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use ring::{hmac, rand::SystemRandom};
use serde::{Deserialize, Serialize};

use super::{Denial, Secret};
use crate::{digest::canonical_json, registry::repository::Repository};

/// How long a token is good.
pub const LIFETIME: SignedDuration = SignedDuration::from_mins(5);
const PREFIX: &str = "orbit.";

/// What a token opens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// Whom it is given to, for the history.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub holder: String,
    /// The repositories that it opens.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub granted: BTreeSet<Repository>,
    /// Those that were asked for and that its owner may not read: asking for another token is of no use.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub refused: BTreeSet<Repository>,
}

impl Grant {
    /// Whether it opens a repository.
    pub fn allows(&self, repository: &Repository) -> Result<(), Denial> {
        if self.granted.contains(repository) {
            Ok(())
        } else if self.refused.contains(repository) {
            Err(Denial::Forbidden)
        } else {
            Err(Denial::OtherScope)
        }
    }
}

/// A token that was given out.
#[derive(Debug)]
pub struct Issued {
    /// The token.
    pub token: Secret,
    /// When.
    pub at: Timestamp,
    /// What it opens.
    pub grant: Grant,
}

/// What a token turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Ours, and good.
    Good(Grant),
    /// Ours, and too old.
    Expired,
    /// Not ours, or another process's.
    Forged,
}

/// What is in a token.
#[derive(Debug, Serialize, Deserialize)]
struct Content {
    /// The second at which it expires.
    until: i64,
    #[serde(flatten)]
    grant: Grant,
}

/// Gives tokens out and knows them again.
#[derive(Debug)]
pub struct Tokens {
    key: hmac::Key,
}

impl Tokens {
    /// With a key of its own.
    ///
    /// # Panics
    /// If the system has no randomness, without which nothing here can be kept safe.
    pub fn new() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self { key: key.expect("the system gives random bytes") }
    }

    /// Whether it looks like a token of the registry, and not of anybody else.
    pub fn is_own(token: &Secret) -> bool {
        token.expose().starts_with(PREFIX)
    }

    /// A token for a grant.
    pub fn issue(&self, grant: Grant, now: Timestamp) -> Issued {
        let content = Content { until: (now + LIFETIME).as_second(), grant };
        let body = URL_SAFE_NO_PAD.encode(canonical_json(&content));
        let mac = URL_SAFE_NO_PAD.encode(hmac::sign(&self.key, body.as_bytes()));
        Issued { token: Secret::new(format!("{PREFIX}{body}.{mac}")), at: now, grant: content.grant }
    }

    /// What a token is worth now.
    pub fn verify(&self, token: &Secret, now: Timestamp) -> Verdict {
        let Some(content) = self.content(token.expose()) else { return Verdict::Forged };
        if now.as_second() < content.until { Verdict::Good(content.grant) } else { Verdict::Expired }
    }

    /// What is in a token that this process wrote. The comparison takes the same time however much of it is right.
    fn content(&self, token: &str) -> Option<Content> {
        let (body, mac) = token.strip_prefix(PREFIX)?.split_once('.')?;
        hmac::verify(&self.key, body.as_bytes(), &URL_SAFE_NO_PAD.decode(mac).ok()?).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        Grant {
            holder: "maria".into(),
            granted: ["shop/web".parse().unwrap()].into(),
            refused: ["bank/web".parse().unwrap()].into(),
        }
    }

    #[test]
    fn a_token_is_good_for_five_minutes() {
        let (tokens, now) = (Tokens::new(), Timestamp::now());
        let token = tokens.issue(grant(), now).token;
        assert!(Tokens::is_own(&token));
        assert_eq!(tokens.verify(&token, now), Verdict::Good(grant()));
        assert_eq!(tokens.verify(&token, now + SignedDuration::from_secs(298)), Verdict::Good(grant()));
        assert_eq!(tokens.verify(&token, now + LIFETIME), Verdict::Expired);
    }

    #[test]
    fn only_this_process_writes_its_tokens() {
        let (tokens, now) = (Tokens::new(), Timestamp::now());
        let Issued { token, .. } = tokens.issue(Grant::default(), now);
        let Issued { token: other, .. } = Tokens::new().issue(grant(), now);
        let (own_body, foreign_body) = (token.expose(), other.expose());
        let mixed = format!("{}.{}", foreign_body.rsplit_once('.').unwrap().0, own_body.rsplit_once('.').unwrap().1);
        for forged in [foreign_body, &mixed, &own_body[..own_body.len() - 1], "orbit.", "orbit.e30", "orbit.e30."] {
            assert_eq!(tokens.verify(&Secret::new(forged), now), Verdict::Forged, "{forged}");
        }
    }

    #[test]
    fn a_grant_tells_what_was_refused_from_what_nobody_asked_for() {
        let allows = |name: &str| grant().allows(&name.parse().unwrap());
        assert!(allows("shop/web").is_ok());
        assert!(matches!(allows("bank/web"), Err(Denial::Forbidden)));
        assert!(matches!(allows("shop/charts/web"), Err(Denial::OtherScope)));
    }
}
