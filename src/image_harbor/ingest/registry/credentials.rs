//! Credentials for a registry from a Secret of type `kubernetes.io/dockerconfigjson`.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::address::{Address, canonical};

/// How a registry is asked for an image.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum RegistryAuth {
    /// As anybody.
    #[default]
    Anonymous,
    /// With a user's name and password (or a token in its place).
    Basic {
        /// The user's name.
        username: String,
        /// The password. It is never shown.
        password: String,
    },
}

impl fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("Anonymous"),
            Self::Basic { username, .. } => write!(f, "Basic {{ username: {username:?}, password: (hidden) }}"),
        }
    }
}

/// Why a pull secret cannot be used. None of its content is repeated but the names of registries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PullSecretError(String);

#[derive(Deserialize)]
struct DockerConfig {
    auths: Option<BTreeMap<String, Option<Entry>>>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// The credentials that a `.dockerconfigjson` has for the registry of `reference`: the entry of its host, or the more
/// specific one of `host/path` where there are several. `docker.io` goes by all its names.
pub fn registry_auth(docker_config_json: &[u8], reference: &str) -> Result<RegistryAuth, PullSecretError> {
    let address = Address::parse(reference).map_err(PullSecretError)?;
    // The parser's message is left out: it may quote the secret.
    let config: DockerConfig = serde_json::from_slice(docker_config_json).map_err(|_| {
        let advice = "create it with kubectl create secret docker-registry";
        PullSecretError(format!("the pull secret's .dockerconfigjson is no such document: {advice}"))
    })?;
    let auths = config.auths.unwrap_or_default();
    let found = auths
        .iter()
        .filter_map(|(key, entry)| Some((key, covers(key, &address)?, entry.as_ref()?)))
        .max_by_key(|(_, specificity, _)| *specificity);
    let Some((key, _, entry)) = found else {
        let known: Vec<_> = auths.keys().map(String::as_str).take(10).collect();
        let known = known.join(", ");
        let fault = format!("the pull secret has no credentials for {}, only for [{known}]", address.host);
        return Err(PullSecretError(fault));
    };
    entry.credentials().map_err(|fault| PullSecretError(format!("the pull secret's entry {key:?} {fault}")))
}

impl Entry {
    fn credentials(&self) -> Result<RegistryAuth, &'static str> {
        let given = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
        if let (Some(username), Some(password)) = (given(&self.username), given(&self.password)) {
            return Ok(RegistryAuth::Basic { username, password });
        }
        if let Some(auth) = given(&self.auth) {
            let decoded = STANDARD.decode(auth.trim()).map_err(|_| "has an auth that is no base64")?;
            let text = String::from_utf8(decoded).map_err(|_| "has an auth that is no text")?;
            let (username, password) = text.split_once(':').ok_or("has an auth that is not user:password")?;
            return Ok(RegistryAuth::Basic { username: username.into(), password: password.into() });
        }
        if given(&self.identitytoken).is_some() {
            return Err("has an identity token, which is not supported: use a user name and password");
        }
        Err("has neither auth nor username and password")
    }
}

/// How specifically a key of `auths` covers an address, if at all.
fn covers(key: &str, address: &Address) -> Option<usize> {
    let key = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key).trim_end_matches('/');
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    // Docker writes the API version behind the host.
    let path = if matches!(path, "v1" | "v2") { "" } else { path };
    let same_path = path.is_empty()
        || address.repository.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    (canonical(host) == canonical(&address.host) && same_path).then_some(path.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn basic(username: &str, password: &str) -> RegistryAuth {
        RegistryAuth::Basic { username: username.into(), password: password.into() }
    }

    fn auth(auths: serde_json::Value, reference: &str) -> Result<RegistryAuth, PullSecretError> {
        registry_auth(json!({"auths": auths}).to_string().as_bytes(), reference)
    }

    #[test]
    fn the_entry_of_the_host_counts_and_the_more_specific_one_more() {
        let auths = json!({
            "registry.example": {"username": "all", "password": "p"},
            "https://registry.example/team/": {"auth": STANDARD.encode("team:a:b")},
            "registry.example:5000": {"username": "port", "password": "p"},
        });
        assert_eq!(auth(auths.clone(), "registry.example/web:1"), Ok(basic("all", "p")));
        assert_eq!(auth(auths.clone(), "registry.example/team/web:1"), Ok(basic("team", "a:b")));
        assert_eq!(auth(auths.clone(), "registry.example/teams/web:1"), Ok(basic("all", "p")));
        assert_eq!(auth(auths.clone(), "registry.example:5000/web"), Ok(basic("port", "p")));
        assert!(auth(auths, "other.example/web").unwrap_err().to_string().contains("other.example"));
    }

    #[test]
    fn docker_hub_goes_by_all_its_names() {
        for key in ["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io"] {
            for reference in ["nginx", "docker.io/library/nginx:1", "index.docker.io/me/app"] {
                let auths = json!({key: {"username": "u", "password": "p"}});
                assert_eq!(auth(auths, reference), Ok(basic("u", "p")), "{key} {reference}");
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        let unusable = [json!({"auth": "s3cret!"}), json!({"auth": STANDARD.encode("s3cret")})];
        for entry in unusable.into_iter().chain([json!({"identitytoken": "s3cret"}), json!({})]) {
            let error = auth(json!({"r.example": entry}), "r.example/web").unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
        assert!(registry_auth(b"s3cret", "r.example/web").unwrap_err().to_string().contains("dockerconfigjson"));
        assert!(!format!("{:?}", basic("u", "s3cret")).contains("s3cret"));
    }
}
