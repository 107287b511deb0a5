//! By what somebody acts at the API server: a Kubernetes token of theirs, or the plane's word that it is them.

use anyhow::Context;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{
    Api, Client,
    api::PostParams,
    config::{AuthInfo, Config},
};

use super::sessions::User;
use crate::registry::readers::Secret;

/// The longest token that is looked at, in bytes: those with many groups have some thousands.
pub const MAX_TOKEN: usize = 32 << 10;

/// By what somebody acts.
#[derive(Debug, Clone)]
pub enum Authority {
    /// A bearer token, which is passed on.
    Token(Secret),
    /// The plane says who it is (`Impersonate-User`, `Impersonate-Group`).
    Impersonation(User),
}

/// The cluster whose users sign in.
pub trait Cluster: Send + Sync {
    /// The API server, asked by this authority.
    ///
    /// # Errors
    /// Where no client can be made of it.
    fn client(&self, authority: &Authority) -> anyhow::Result<Client>;
}

/// The cluster of a kubeconfig.
pub struct Kubeconfig(pub Config);

impl Cluster for Kubeconfig {
    fn client(&self, authority: &Authority) -> anyhow::Result<Client> {
        let mut config = self.0.clone();
        config.auth_info = credentials(authority, config.auth_info);
        Client::try_from(config).context("no connection to the API server")
    }
}

/// With what the API server is asked, where `own` are the plane's credentials.
fn credentials(authority: &Authority, own: AuthInfo) -> AuthInfo {
    match authority {
        // None of the plane's own is left: whoever's token is worth nothing is nobody.
        Authority::Token(token) => AuthInfo { token: Some(token.expose().to_owned().into()), ..AuthInfo::default() },
        Authority::Impersonation(User { name, groups }) => {
            AuthInfo { impersonate: Some(name.clone()), impersonate_groups: Some(groups.clone()), ..own }
        }
    }
}

/// Who this client is to the API server; none where it does not know.
pub async fn who_is(client: &Client) -> kube::Result<Option<User>> {
    let api = Api::<SelfSubjectReview>::all(client.clone());
    let review = match api.create(&PostParams::default(), &SelfSubjectReview::default()).await {
        Ok(review) => review,
        Err(kube::Error::Api(status)) if status.code == 401 => return Ok(None),
        Err(error) => return Err(error),
    };
    let info = review.status.and_then(|status| status.user_info).unwrap_or_default();
    let user = info.username.map(|name| User { name, groups: info.groups.unwrap_or_default() });
    // An API server that lets strangers in would call them that.
    Ok(user.filter(|user| !user.name.is_empty() && user.name != "system:anonymous"))
}

/// Whether a text can be a token at all: it is sent on in a header.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TOKEN && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// When a token ends, where it is one that says so (a JSON Web Token). Whether it is good is not looked at here: only
/// the API server can tell.
pub fn expiry(token: &Secret) -> Option<Timestamp> {
    let payload = token.expose().split('.').nth(1)?;
    let payload: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    Timestamp::from_second(payload.get("exp")?.as_f64()? as i64).ok()
}

/// Why nobody may act as a user or in a group: the cluster's own are not given away by an identity provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the identity provider says that your name is {0:?}, which the plane impersonates nobody as")]
pub struct NotToImpersonate(String);

/// Somebody whom an identity provider vouches for, as the plane may impersonate them: no user of the cluster's own, and
/// in no group of its own.
pub fn impersonated(name: String, groups: Vec<String>) -> Result<User, NotToImpersonate> {
    // Blanks around a name get lost on the way: another name would arrive, or none, which is the plane itself.
    let sendable = |text: &str| {
        !text.is_empty() && text.trim() == text && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())
    };
    let reserved = |text: &str| {
        let text = text.to_ascii_lowercase();
        text.starts_with("system:") || text.starts_with("kubeadm:")
    };
    if !sendable(&name) || reserved(&name) {
        return Err(NotToImpersonate(name));
    }
    let mut groups: Vec<String> = groups.into_iter().filter(|group| sendable(group) && !reserved(group)).collect();
    groups.sort();
    groups.dedup();
    Ok(User { name, groups })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> Secret {
        Secret::new(format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(payload)))
    }

    #[test]
    fn a_token_says_when_it_ends() {
        assert_eq!(expiry(&token(r#"{"exp": 1767323045}"#)), Some("2026-01-02T03:04:05Z".parse().unwrap()));
        for other in [token("{}"), token("x"), Secret::new("opaque"), Secret::new("a.!.c"), token(r#"{"exp":"x"}"#)] {
            assert_eq!(expiry(&other), None);
        }
    }

    #[test]
    fn what_cannot_be_a_token_is_not_sent() {
        assert!(is_token("eyJ.a-b_c.d"));
        for text in ["", " ", "a b", "a\r\nImpersonate-User: root", "a\u{0}", "ä", &"a".repeat(MAX_TOKEN + 1)] {
            assert!(!is_token(text), "{text:?}");
        }
    }

    #[test]
    fn the_clusters_own_names_are_not_given_away() {
        let groups = [
            "dev",
            "kubeadm:cluster-admins",
            "dev ",
            "system:masters",
            "System:Masters",
            " system:masters",
            "dev",
            "",
            "a\nb",
        ];
        let user = impersonated("maria@shop.example".into(), groups.map(str::to_owned).into()).unwrap();
        assert_eq!((user.name.as_str(), user.groups), ("maria@shop.example", vec!["dev".to_owned()]));
        for name in
            ["system:admin", "SYSTEM:serviceaccount:a:b", " system:x", "kubeadm:x", "", " ", "maria ", "a\r\nb", "mär"]
        {
            assert!(impersonated(name.into(), Vec::new()).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_token_is_all_that_is_left_of_credentials() {
        let own = AuthInfo { username: Some("plane".into()), token_file: Some("token".into()), ..AuthInfo::default() };
        let hers = credentials(&Authority::Token(Secret::new("t")), own.clone());
        assert_eq!((hers.username, hers.token_file, hers.impersonate), (None, None, None));
        assert!(hers.token.is_some());
        let maria = User { name: "maria".into(), groups: vec!["dev".into()] };
        let hers = credentials(&Authority::Impersonation(maria), own);
        assert_eq!(hers.username.as_deref(), Some("plane"));
        assert_eq!((hers.impersonate.as_deref(), hers.impersonate_groups), (Some("maria"), Some(vec!["dev".into()])));
    }
}
