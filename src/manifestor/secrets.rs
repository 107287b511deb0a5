//! Configuration that looks like a secret, which belongs into a Secret and not into a release for ever.
//!
//! A key is judged by its last word (`DB_PASSWORD`, not `PASSWORD_MIN_LENGTH`), a value by shapes that nothing else
//! has. Every check is one pass over the text; a finding never holds any of the value.

use std::collections::BTreeMap;

use base64::Engine as _;

/// A configuration entry that looks like a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFinding {
    /// The entry's key.
    pub key: String,
    /// What gives it away, without any of the value.
    pub why: String,
}

/// The entries that look like secrets, by key.
pub fn secret_findings(config: &BTreeMap<String, String>) -> Vec<SecretFinding> {
    config
        .iter()
        .filter_map(|(key, value)| {
            let why = if is_secret_name(key) && !is_harmless(value) {
                "its name says that it is a secret".to_owned()
            } else {
                secret_shape(value)?
            };
            Some(SecretFinding { key: key.clone(), why })
        })
        .collect()
}

/// Words that are a secret by themselves at the end of a name, also when written together (`PGPASSWORD`).
const NOUNS: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "secretkey",
    "accesskey",
    "privatekey",
    "authkey",
];
/// Words that are a secret only as a word of their own.
const SHORT_NOUNS: [&str; 5] = ["pwd", "pass", "credential", "credentials", "dockerconfigjson"];
/// What makes a `key` a secret one.
const KEY_KINDS: [&str; 13] = [
    "api",
    "access",
    "secret",
    "private",
    "encryption",
    "signing",
    "master",
    "auth",
    "account",
    "storage",
    "license",
    "jwt",
    "session",
];
/// Words behind a secret's name that change nothing.
const SUFFIXES: [&str; 15] = [
    "prod",
    "production",
    "dev",
    "staging",
    "test",
    "old",
    "new",
    "current",
    "previous",
    "primary",
    "secondary",
    "base64",
    "b64",
    "value",
    "default",
];

fn is_secret_name(name: &str) -> bool {
    let mut words = words(name);
    while words.len() > 1
        && words.last().is_some_and(|w| SUFFIXES.contains(&w.as_str()) || w.bytes().all(|b| b.is_ascii_digit()))
    {
        words.pop();
    }
    let Some(last) = words.last() else { return false };
    let last = last.trim_end_matches(|c: char| c.is_ascii_digit());
    let before = words.len().checked_sub(2).map(|i| words[i].as_str());
    match last {
        "key" => before.is_some_and(|word| KEY_KINDS.contains(&word)),
        // The name of a Secret to pull images with.
        "secret" if before == Some("pull") => false,
        _ => SHORT_NOUNS.contains(&last) || NOUNS.iter().any(|noun| last.ends_with(noun)),
    }
}

/// Lower-case words of `DB_PASSWORD`, `db.password` and `dbPassword`.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower_before = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && lower_before) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
        lower_before = c.is_lowercase() || c.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A value that is no secret although its name says so: nothing, a switch, a place, a reference to be filled in.
fn is_harmless(value: &str) -> bool {
    const SWITCHES: [&str; 12] =
        ["true", "false", "yes", "no", "on", "off", "none", "null", "enabled", "disabled", "required", "optional"];
    const REFERENCES: [&str; 9] =
        ["vault:", "arn:aws:", "ssm:", "op://", "ref+", "secretref:", "file:", "gcp:", "azurekeyvault:"];
    let value = value.trim();
    let lower = value.to_ascii_lowercase();
    value.is_empty()
        || SWITCHES.contains(&lower.as_str())
        || REFERENCES.iter().any(|prefix| lower.starts_with(prefix))
        || is_placeholder(value)
        || is_file_path(value)
}

fn is_placeholder(value: &str) -> bool {
    [("${", "}"), ("$(", ")"), ("<", ">"), ("{{", "}}"), ("%(", ")s")]
        .iter()
        .any(|(open, close)| value.starts_with(open) && value.ends_with(close))
        || (!value.is_empty() && value.chars().all(|c| matches!(c, '*' | 'x' | 'X' | '.')))
}

fn is_file_path(value: &str) -> bool {
    value.starts_with('/')
        && value.matches('/').count() >= 2
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b))
}

fn secret_shape(value: &str) -> Option<String> {
    let found = |what: &str| Some(format!("its value looks like {what}"));
    if has_private_key(value) {
        return found("a private key");
    }
    for word in value.split(|c: char| !(c.is_ascii_alphanumeric() || "_-./+=".contains(c))) {
        // `name=token` and `/token` too.
        for word in word.split(['=', '/']).chain([word]) {
            if let Some(what) = known_token(word) {
                return found(what);
            }
        }
    }
    if value.split_whitespace().chain([value]).any(has_url_password) {
        return found("an address with a password in it");
    }
    if has_authorization(value) {
        return found("the credentials of an Authorization header");
    }
    inner_secret(value).then(|| "a setting inside its value is named like a secret".to_owned())
}

fn has_private_key(value: &str) -> bool {
    let marks = |text: &str| {
        text.split("-----BEGIN ").skip(1).any(|rest| {
            rest.split_once("-----")
                .is_some_and(|(kind, _)| kind.ends_with("PRIVATE KEY") || kind.ends_with("PRIVATE KEY BLOCK"))
        }) || text.contains("PuTTY-User-Key-File-")
            || text.contains("AGE-SECRET-KEY-1")
    };
    // The same in base64, as Secrets and CI variables carry it.
    let decoded = || {
        let start: String =
            value.split("LS0tLS1CRUdJTi").nth(1)?.chars().filter(char::is_ascii_graphic).take(66).collect();
        let whole = format!("LS0tLS1CRUdJTi{start}");
        let whole = &whole[..whole.len() / 4 * 4];
        let bytes = base64::engine::general_purpose::STANDARD.decode(whole).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    };
    marks(value) || decoded().is_some_and(|text| text.contains("PRIVATE KEY"))
}

/// Tokens whose issuers gave them a shape of their own.
fn known_token(word: &str) -> Option<&'static str> {
    /// Prefix, least length of what follows it, what it is.
    const PREFIXES: [(&str, usize, &str); 26] = [
        ("ghp_", 30, "a GitHub token"),
        ("gho_", 30, "a GitHub token"),
        ("ghu_", 30, "a GitHub token"),
        ("ghs_", 30, "a GitHub token"),
        ("ghr_", 30, "a GitHub token"),
        ("github_pat_", 22, "a GitHub token"),
        ("glpat-", 20, "a GitLab token"),
        ("xoxb-", 20, "a Slack token"),
        ("xoxp-", 20, "a Slack token"),
        ("xoxa-", 20, "a Slack token"),
        ("xoxr-", 20, "a Slack token"),
        ("xoxs-", 20, "a Slack token"),
        ("xapp-", 20, "a Slack token"),
        ("sk_live_", 16, "a Stripe key"),
        ("sk_test_", 16, "a Stripe key"),
        ("rk_live_", 16, "a Stripe key"),
        ("whsec_", 16, "a webhook's signing secret"),
        ("AIza", 35, "a Google API key"),
        ("npm_", 36, "an npm token"),
        ("pypi-AgEI", 30, "a PyPI token"),
        ("dckr_pat_", 20, "a Docker token"),
        ("dop_v1_", 40, "a DigitalOcean token"),
        ("hvs.", 20, "a Vault token"),
        ("SG.", 40, "a SendGrid key"),
        ("sk-proj-", 20, "an API key"),
        ("sk-ant-", 20, "an API key"),
    ];
    if let Some((_, _, what)) =
        PREFIXES.iter().find(|(prefix, least, _)| word.strip_prefix(prefix).is_some_and(|rest| rest.len() >= *least))
    {
        return Some(what);
    }
    let aws = word.len() == 20
        && (word.starts_with("AKIA") || word.starts_with("ASIA"))
        && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if aws {
        return Some("an AWS access key");
    }
    is_jwt(word).then_some("a JSON Web Token")
}

fn is_jwt(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    let [header, payload, _] = parts[..] else { return false };
    let object = |part: &str| {
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?;
        serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&bytes).ok()
    };
    header.starts_with("ey") && object(header).is_some_and(|h| h.contains_key("alg")) && object(payload).is_some()
}

/// `scheme://user:password@host`, and `user:password@tcp(host)` as Go's MySQL driver has it.
fn has_url_password(text: &str) -> bool {
    let secret = |userinfo: &str| {
        userinfo.split_once(':').is_some_and(|(_, password)| !password.is_empty() && !is_placeholder(password))
    };
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        rest = &rest[at + 3..];
        let authority = rest.split(['/', '?', '#', '"', '\'']).next().unwrap_or_default();
        if authority.rsplit_once('@').is_some_and(|(userinfo, _)| secret(userinfo)) {
            return true;
        }
    }
    ["@tcp(", "@unix("].iter().any(|mark| text.split_once(mark).is_some_and(|(userinfo, _)| secret(userinfo)))
}

fn has_authorization(value: &str) -> bool {
    ["Bearer ", "Basic "].iter().any(|scheme| {
        value.split(scheme).skip(1).any(|rest| {
            let token: &str = rest.split(|c: char| c.is_whitespace() || "\"',;".contains(c)).next().unwrap_or_default();
            token.len() >= 16
                && token.bytes().any(|b| b.is_ascii_digit())
                && token.bytes().all(|b| b.is_ascii_alphanumeric() || b"._~+/=-".contains(&b))
        })
    })
}

/// Settings inside a value: a JSON document, lines of `name: value` and `name=value`, a connection string.
fn inner_secret(value: &str) -> bool {
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(value) {
        return json_secret(&json);
    }
    value.split(['\n', ';', '&', '?']).flat_map(|line| [line].into_iter().chain(line.split_whitespace())).any(
        |setting| {
            setting.split_once(['=', ':']).is_some_and(|(name, value)| {
                let name = name.trim().trim_matches(['"', '\'']);
                let value = value.trim().trim_matches(['"', '\'', ',']);
                // A sentence is no name.
                !name.contains(char::is_whitespace) && is_secret_name(name) && !is_harmless(value)
            })
        },
    )
}

fn json_secret(json: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Object, String};
    match json {
        Object(map) => map.iter().any(|(name, value)| match value {
            String(text) => (is_secret_name(name) || name == "auth") && !is_harmless(text),
            nested => json_secret(nested),
        }),
        Array(list) => list.iter().any(json_secret),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(key: &str, value: &str) -> bool {
        let findings = secret_findings(&BTreeMap::from([(key.to_owned(), value.to_owned())]));
        assert!(findings.iter().all(|f| f.key == key && (value.len() < 8 || !f.why.contains(value))));
        !findings.is_empty()
    }

    #[test]
    fn secrets_by_name() {
        for key in [
            "PASSWORD",
            "DB_PASSWORD",
            "db.password",
            "dbPassword",
            "PGPASSWORD",
            "MYSQL_PWD",
            "GITHUB_TOKEN",
            "API_KEY",
            "APIKEY",
            "apiKey",
            "CLIENT_SECRET",
            "AWS_SECRET_ACCESS_KEY",
            "SECRET_KEY",
            "PRIVATE_KEY",
            "DB_PASSWORD_PROD",
            "PASSWORD2",
            "SIGNING_KEY",
            "SMTP_PASS",
            "SSH_PASSPHRASE",
        ] {
            assert!(found(key, "hunter2-x"), "{key}");
        }
    }

    #[test]
    fn secrets_by_value() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln";
        // Assembled here so that no scanner takes this file for a leak.
        let key = format!("-----BEGIN {} KEY-----\nMIIB", "RSA PRIVATE");
        let encoded = base64::engine::general_purpose::STANDARD.encode(key.repeat(2));
        let github = format!("ghp_{}", "a1".repeat(18));
        for value in [
            &key,
            &encoded,
            jwt,
            &format!("token: {jwt}"),
            "AKIAIOSFODNN7EXAMPLE",
            &github,
            "postgres://app:hunter2@db/shop",
            "redis://:hunter2@cache",
            "app:hunter2@tcp(db:3306)/shop",
            "Bearer abcdef0123456789abcdef",
            "Server=db;User=app;Password=hunter2;",
            "host=db password=hunter2",
            "a.b=1\nspring.datasource.password=hunter2\n",
            r#"{"db": [{"password": "hunter2"}]}"#,
        ] {
            assert!(found("SETTING", value), "{value}");
        }
    }

    #[test]
    fn what_is_none() {
        for (key, value) in [
            ("PASSWORD_MIN_LENGTH", "12"),
            ("PASSWORD_FILE", "/run/secrets/db"),
            ("TOKEN_URL", "https://id.example/token"),
            ("SECRET_NAME", "web-db"),
            ("DB_PASSWORD", ""),
            ("DB_PASSWORD", "${DB_PASSWORD}"),
            ("CSRF_TOKEN", "true"),
            ("DB_PASSWORD", "/run/secrets/db"),
            ("PUBLIC_KEY", "abc"),
            ("SORT_KEY", "name"),
            ("KEY", "x"),
            ("MAX_TOKENS", "4096"),
            ("IMAGE_PULL_SECRET", "regcred"),
            ("URL", "https://shop.example/a:b@c"),
            ("URL", "postgres://app@db/shop"),
            ("URL", "postgres://app:${PASSWORD}@db/shop"),
            ("LOG_LEVEL", "info"),
            ("TIME", "12:30:00"),
            ("TEXT", "a: b"),
            ("BYPASS", "1"),
            ("COMPASS", "north"),
            ("CERT", "-----BEGIN CERTIFICATE-----\nMIIB"),
            ("V", "1.2.3"),
            ("API_TOKEN", "vault:secret/data/web#token"),
            ("MONKEY", "banana"),
            ("GREETING", "Basic knowledge is needed"),
        ] {
            assert!(!found(key, value), "{key}={value}");
        }
    }

    #[test]
    fn hostile_values_are_only_values() {
        for piece in
            ["://", "@", "a:", "-----BEGIN ", "eyJ.", "=", "{\"a\":", "LS0tLS1CRUdJTié", "Bearer ", "é", "\u{2028}"]
        {
            let value = piece.repeat(32_768 / piece.len());
            assert!(!found("SETTING", &value), "{piece}");
        }
    }
}
