//! What a request says of who sends it.

use std::fmt;

use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{digest::Digest, registry::session::equal_in_constant_time};

/// Something that whoever knows it may do something with. It is in no log and no message.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// This text is a secret from here on.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whoever has to send it on.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the two are the same; how long that takes does not tell how much of them is.
    pub fn matches(&self, other: &Self) -> bool {
        equal_in_constant_time(&Digest::of(&self.0), &Digest::of(&other.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The `Authorization` of a request.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// There is none, or none that is understood.
    None,
    /// A user's name and password (RFC 7617).
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token (RFC 6750).
    Bearer(Secret),
}

impl Credentials {
    /// What the headers say; schemes are written in any case (RFC 9110, 11.1).
    pub fn of(headers: &HeaderMap) -> Self {
        Self::read(headers).unwrap_or(Self::None)
    }

    fn read(headers: &HeaderMap) -> Option<Self> {
        let (scheme, value) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        let value = value.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return (!value.is_empty()).then(|| Self::Bearer(Secret::new(value)));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let text = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        Self::basic(user, password)
    }

    /// A user's name and password; a password is needed, a name is not.
    pub fn basic(user: &str, password: &str) -> Option<Self> {
        (!password.is_empty()).then(|| Self::Basic { user: user.to_owned(), password: Secret::new(password) })
    }

    /// What tells these credentials from others, without being of use to whoever sees it; none where there are none.
    pub fn fingerprint(&self) -> Option<Digest> {
        match self {
            Self::None => None,
            Self::Basic { user, password } => Some(Digest::of_canonical(&(user, password.expose()))),
            Self::Bearer(token) => Some(Digest::of_canonical(&token.expose())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Credentials {
        Credentials::of(&HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())]))
    }

    #[test]
    fn reads_both_schemes() {
        let basic = format!("basic {}", STANDARD.encode("maria:pa:ss"));
        let Credentials::Basic { user, password } = read(&basic) else { panic!("{basic}") };
        assert_eq!((user.as_str(), password.expose()), ("maria", "pa:ss"));
        assert!(matches!(read("Bearer abc"), Credentials::Bearer(token) if token.expose() == "abc"));
    }

    #[test]
    fn what_is_not_understood_is_nothing() {
        let nameless = format!("Basic {}", STANDARD.encode("maria"));
        let empty = format!("Basic {}", STANDARD.encode("maria:"));
        for value in ["", "Bearer", "Bearer ", "Basic", "Basic %", "Digest abc", &nameless, &empty] {
            assert!(matches!(read(value), Credentials::None), "{value:?}");
        }
        assert!(matches!(Credentials::of(&HeaderMap::new()), Credentials::None));
    }

    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?}", read("Bearer hunter2"));
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(Secret::new("a").matches(&Secret::new("a")) && !Secret::new("a").matches(&Secret::new("b")));
    }

    #[test]
    fn fingerprints_differ_with_the_user() {
        let of = |user| Credentials::basic(user, "p").unwrap().fingerprint();
        assert_ne!(of("a"), of("b"));
        assert_eq!(of("a"), of("a"));
        assert_eq!(Credentials::None.fingerprint(), None);
    }
}
