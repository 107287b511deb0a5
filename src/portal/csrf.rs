//! Whether a request that changes something was meant by whoever is signed in, and not sent by another site's page.

use axum::http::{HeaderMap, HeaderName, Method, header};

use crate::registry::readers::Secret;

/// Brings the session's token along.
pub const CSRF: HeaderName = HeaderName::from_static("x-orbit-csrf");
/// Where, in the browser's own words, a request comes from.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request is taken for another site's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotMeant {
    /// The browser says so.
    #[error("this request comes from another site's page")]
    OtherSite,
    /// It does not bring the session's token along.
    #[error("the header X-Orbit-CSRF is missing or not this session's: GET /api/v1/session gives the one to send")]
    Token,
    /// Another site's form could have sent it.
    #[error("send this with Content-Type: application/json")]
    Form,
}

/// Whether a request with these headers was meant. Reading needs no proof: it changes nothing, and no other site is
/// shown the answer.
///
/// Without a session (`token`), which is how one signs in, it has to be one that a page of another site cannot send
/// without asking first.
pub fn check(method: &Method, headers: &HeaderMap, token: Option<&Secret>) -> Result<(), NotMeant> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    if headers.get_all(FETCH_SITE).iter().any(|site| site != "same-origin") {
        return Err(NotMeant::OtherSite);
    }
    match token {
        Some(token) => {
            let sent = headers.get(CSRF).and_then(|value| value.to_str().ok());
            sent.is_some_and(|sent| token.matches(&Secret::new(sent))).then_some(()).ok_or(NotMeant::Token)
        }
        None => {
            let is_json = |value: &str| value.split(';').next().is_some_and(|kind| kind.trim() == "application/json");
            let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            kind.is_some_and(is_json).then_some(()).ok_or(NotMeant::Form)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn what_changes_something_needs_the_sessions_token() {
        let token = Secret::new("t");
        for (method, sent, expected) in [
            (Method::GET, vec![], Ok(())),
            (Method::HEAD, vec![(FETCH_SITE, "cross-site")], Ok(())),
            (Method::POST, vec![(CSRF, "t")], Ok(())),
            (Method::POST, vec![(CSRF, "t"), (FETCH_SITE, "same-origin")], Ok(())),
            (Method::POST, vec![], Err(NotMeant::Token)),
            (Method::DELETE, vec![(CSRF, "")], Err(NotMeant::Token)),
            (Method::PUT, vec![(CSRF, "tt")], Err(NotMeant::Token)),
            (Method::OPTIONS, vec![], Err(NotMeant::Token)),
            (Method::POST, vec![(CSRF, "t"), (FETCH_SITE, "same-site")], Err(NotMeant::OtherSite)),
            (Method::POST, vec![(CSRF, "t"), (FETCH_SITE, "none")], Err(NotMeant::OtherSite)),
            (Method::PATCH, vec![(CSRF, "t"), (FETCH_SITE, "cross-site")], Err(NotMeant::OtherSite)),
        ] {
            assert_eq!(check(&method, &headers(&sent), Some(&token)), expected, "{method} {sent:?}");
        }
    }

    #[test]
    fn signing_in_is_nothing_a_form_can_do() {
        let json = (header::CONTENT_TYPE, "application/json; charset=utf-8");
        assert_eq!(check(&Method::POST, &headers(std::slice::from_ref(&json)), None), Ok(()));
        let elsewhere = headers(&[json, (FETCH_SITE, "cross-site")]);
        assert_eq!(check(&Method::POST, &elsewhere, None), Err(NotMeant::OtherSite));
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            assert_eq!(check(&Method::POST, &headers(&[(header::CONTENT_TYPE, kind)]), None), Err(NotMeant::Form));
        }
        assert_eq!(check(&Method::POST, &HeaderMap::new(), None), Err(NotMeant::Form));
    }
}
