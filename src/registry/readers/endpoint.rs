//! `/v2/token`: short-lived tokens for `docker login` and everybody who speaks its protocol
//! (distribution's "Token Authentication Specification", and its OAuth 2 variant with a form).

use axum::{
    Json,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{Credentials, Denial, Readers, tokens};
use crate::{
    listener::Client,
    registry::{refusal::errors, repository::Repository},
    requests::Sender,
};

/// Repositories that a token may be asked for; more are left out.
const MAX_SCOPES: usize = 32;
/// Bytes of a form at most.
const MAX_FORM: usize = 64 << 10;

/// `GET /v2/token?service=…&scope=…` with the credentials in `Authorization`.
pub async fn issue_by_query(State(readers): State<Readers>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let scopes = scopes(parts.uri.query().unwrap_or_default().as_bytes());
    answer(&readers, &parts, &Credentials::of(&parts.headers), scopes).await
}

/// `POST /v2/token` with a form that holds the credentials.
pub async fn issue_by_form(State(readers): State<Readers>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(form) = axum::body::to_bytes(body, MAX_FORM).await else {
        return errors(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", "the form is too long", None);
    };
    let credentials = credentials(&form).unwrap_or_else(|| Credentials::of(&parts.headers));
    answer(&readers, &parts, &credentials, scopes(&form)).await
}

async fn answer(readers: &Readers, parts: &Parts, credentials: &Credentials, asked: Vec<Repository>) -> Response {
    let client = Client::or_anybody(&parts.extensions);
    let mut response = match readers.issue(credentials, client, asked, &Sender::of(&parts.extensions)).await {
        Ok(issued) => Json(body(&issued)).into_response(),
        Err(denial) => refused(&denial),
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn body(issued: &tokens::Issued) -> serde_json::Value {
    let scope: Vec<String> =
        issued.grant.granted.iter().map(|repository| format!("repository:{repository}:pull")).collect();
    json!({
        "token": issued.token.expose(),
        "access_token": issued.token.expose(),
        "expires_in": tokens::LIFETIME.as_secs(),
        "issued_at": issued.at.to_string(),
        "scope": scope.join(" "),
    })
}

fn refused(denial: &Denial) -> Response {
    let mut response = errors(denial.status(), denial.code(), &denial.to_string(), None);
    if response.status() == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(r#"Basic realm="orbit", charset="UTF-8""#));
    }
    denial.describe(response.headers_mut());
    response
}

/// The repositories that somebody wants to pull from: `scope=repository:<name>:pull[,…]`, several with spaces between
/// them or one by one. What else is asked for is nothing that is given here.
fn scopes(query: &[u8]) -> Vec<Repository> {
    let values = url::form_urlencoded::parse(query).filter(|(name, _)| name == "scope");
    let scopes = values.flat_map(|(_, value)| value.split(' ').filter_map(scope).collect::<Vec<_>>());
    scopes.take(MAX_SCOPES).collect()
}

fn scope(text: &str) -> Option<Repository> {
    let (name, actions) = text.strip_prefix("repository:")?.rsplit_once(':')?;
    actions.split(',').any(|action| matches!(action, "pull" | "*")).then(|| name.parse().ok()).flatten()
}

/// The credentials in a form. Clients that were given nothing but a token send it as one to be refreshed.
fn credentials(form: &Bytes) -> Option<Credentials> {
    let field = |name: &str| {
        url::form_urlencoded::parse(form).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    let password = match field("grant_type")?.as_str() {
        "password" => field("password")?,
        "refresh_token" => field("refresh_token")?,
        _ => return None,
    };
    Credentials::basic(&field("username").unwrap_or_default(), &password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_clients_write_them() {
        for (query, expected) in [
            ("service=a&scope=repository%3Ashop%2Fweb%3Apull", vec!["shop/web"]),
            (
                "scope=repository:shop/web:pull,push&scope=repository:shop/charts/web:*",
                vec!["shop/web", "shop/charts/web"],
            ),
            ("scope=repository:shop/web:pull%20repository:shop/api:pull", vec!["shop/web", "shop/api"]),
            ("scope=repository:shop/web:push", vec![]),
            ("scope=registry:catalog:*", vec![]),
            ("scope=repository:SHOP:pull", vec![]),
            ("", vec![]),
        ] {
            let found: Vec<String> = scopes(query.as_bytes()).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{query}");
        }
        assert_eq!(scopes("scope=repository:a/b:pull&".repeat(100).as_bytes()).len(), MAX_SCOPES);
    }

    #[test]
    fn a_form_holds_credentials() {
        let read = |form: &'static str| credentials(&Bytes::from_static(form.as_bytes()));
        let Some(Credentials::Basic { user, password }) = read("grant_type=password&username=a&password=p%26") else {
            panic!("these are credentials");
        };
        assert_eq!((user.as_str(), password.expose()), ("a", "p&"));
        assert!(read("grant_type=refresh_token&refresh_token=t").is_some());
        assert!(read("grant_type=authorization_code&code=c").is_none());
        assert!(read("username=a&password=p").is_none());
    }
}
