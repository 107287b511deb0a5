//! What a request's path speaks of, as far as the journal tells it.

use axum::http::Method;
use url::form_urlencoded;

use crate::registry::requested_repository;

/// Characters of a path that are kept.
const MAX_PATH: usize = 512;

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The path. Of what is pulled only the repository: an image has many blobs.
    pub path: String,
    /// The namespace that it names.
    pub namespace: Option<String>,
    /// The application that it names.
    pub application: Option<String>,
    /// Whether a request that is answered well has changed something, and stands for itself.
    pub changes: bool,
}

impl Subject {
    /// What a request is about; none where it is not one to the plane's own API but for the application's files.
    pub fn of(method: &Method, path: &str, query: Option<&str>) -> Option<Self> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let shown = |path: &str| path.chars().take(MAX_PATH).collect::<String>();
        let changes = !method.is_safe();
        match segments.as_slice() {
            ["api", "v1", "namespaces", namespace, rest @ ..] => {
                let application = match rest {
                    ["applications", application, ..] => label(application),
                    _ => None,
                };
                // The one parameter that makes another request of it.
                let rehearsed = query.is_some_and(|query| {
                    form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == "dryRun" && value == "true")
                });
                let path = if rehearsed { shown(path) + "?dryRun=true" } else { shown(path) };
                Some(Self { path, namespace: label(namespace), application, changes: changes && !rehearsed })
            }
            // Chunks of one archive are one sending.
            ["v2", namespace, application, "blobs", "uploads", ..] => {
                let changes = changes && method != Method::PATCH;
                let (namespace, application) = (label(namespace), label(application));
                Some(Self { path: shown(path), namespace, application, changes })
            }
            ["v2", "token"] => Some(Self { path: shown(path), namespace: None, application: None, changes: false }),
            ["v2", ..] => Some(match requested_repository(path) {
                Some(repository) => Self {
                    path: format!("/v2/{repository}/*"),
                    namespace: label(&repository.key.namespace),
                    application: Some(repository.key.application),
                    changes,
                },
                None => {
                    let path =
                        if segments.iter().all(|segment| ["v2", ""].contains(segment)) { "/v2/" } else { "/v2/*" };
                    Self { path: path.to_owned(), namespace: None, application: None, changes }
                }
            }),
            ["api" | "auth", ..] => Some(Self { path: shown(path), namespace: None, application: None, changes }),
            _ => None,
        }
    }

    /// The same, told less exactly: for whoever asks for too many different things.
    pub(super) fn roughly(&self) -> Self {
        let root = self.path.split('/').nth(1).unwrap_or_default();
        let path = match &self.namespace {
            Some(namespace) if root == "v2" => format!("/v2/{namespace}/*"),
            Some(namespace) => format!("/{root}/v1/namespaces/{namespace}/*"),
            None => format!("/{root}/*"),
        };
        Self { path, namespace: self.namespace.clone(), application: None, changes: false }
    }

    /// The same, told so that there are not many of them.
    pub(super) fn barely() -> Self {
        Self { path: "/*".to_owned(), namespace: None, application: None, changes: false }
    }
}

/// A name that Kubernetes could have given: anything else is nobody's namespace or application.
fn label(text: &str) -> Option<String> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let sound = (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-');
    sound.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    fn of(method: Method, target: &str) -> Option<(String, Option<String>, Option<String>, bool)> {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let subject = Subject::of(&method, path, query)?;
        Some((subject.path, subject.namespace, subject.application, subject.changes))
    }

    #[test]
    fn paths_are_told_by_what_they_name() {
        let some = |text: &str| Some(text.to_owned());
        let web = format!("/v2/shop/web/blobs/{}", Digest::of("x"));
        for (method, target, path, namespace, application, changes) in [
            (Method::GET, "/api/v1/session", "/api/v1/session", None, None, false),
            (Method::DELETE, "/api/v1/session", "/api/v1/session", None, None, true),
            (
                Method::GET,
                "/api/v1/namespaces/shop/applications/web/lifecycle?version=1",
                "/api/v1/namespaces/shop/applications/web/lifecycle",
                some("shop"),
                some("web"),
                false,
            ),
            (
                Method::PUT,
                "/api/v1/namespaces/shop/objects/imageuploads/web",
                "/api/v1/namespaces/shop/objects/imageuploads/web",
                some("shop"),
                None,
                true,
            ),
            (
                Method::PUT,
                "/api/v1/namespaces/shop/objects/imageuploads/web?dryRun=true&token=t",
                "/api/v1/namespaces/shop/objects/imageuploads/web?dryRun=true",
                some("shop"),
                None,
                false,
            ),
            (
                Method::GET,
                "/api/v1/namespaces/..%2Fbank/audit",
                "/api/v1/namespaces/..%2Fbank/audit",
                None,
                None,
                false,
            ),
            (Method::GET, "/v2/", "/v2/", None, None, false),
            (Method::POST, "/v2/token", "/v2/token", None, None, false),
            (Method::GET, "/v2/token?scope=x", "/v2/token", None, None, false),
            (Method::GET, &web, "/v2/shop/web/*", some("shop"), some("web"), false),
            (Method::GET, "/v2/shop/charts/web/manifests/1", "/v2/shop/charts/web/*", some("shop"), some("web"), false),
            (Method::GET, "/v2/_catalog", "/v2/*", None, None, false),
            (
                Method::PATCH,
                "/v2/shop/web/blobs/uploads/s",
                "/v2/shop/web/blobs/uploads/s",
                some("shop"),
                some("web"),
                false,
            ),
            (
                Method::PUT,
                "/v2/shop/web/blobs/uploads/s?digest=d",
                "/v2/shop/web/blobs/uploads/s",
                some("shop"),
                some("web"),
                true,
            ),
            (Method::GET, "/auth/callback?code=secret&state=secret", "/auth/callback", None, None, false),
        ] {
            assert_eq!(of(method, target), Some((path.to_owned(), namespace, application, changes)), "{target}");
        }
        for file in ["/", "/ns/shop", "/main.js", "/apis"] {
            assert_eq!(of(Method::GET, file), None, "{file}");
        }
    }

    #[test]
    fn what_is_told_roughly_has_few_forms() {
        let roughly = |path: &str| Subject::of(&Method::GET, path, None).unwrap().roughly().path;
        assert_eq!(roughly("/api/v1/namespaces/shop/objects/imageuploads/a"), "/api/v1/namespaces/shop/*");
        assert_eq!(roughly("/v2/shop/web/manifests/1"), "/v2/shop/*");
        assert_eq!(roughly("/api/v1/nowhere/1"), "/api/*");
    }
}
