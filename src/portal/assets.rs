//! The application that people use the portal with: the files that Angular made of `portal/`, out of the program itself.
//!
//! Its pages have paths of their own, so whatever a browser wants a page for is answered with the one page that there
//! is. Files whose names bear the hash of what is in them are kept for ever; the page is read anew each time, with a
//! nonce that lets only its own styles in.

use std::{collections::HashMap, io::Write};

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};

use super::{Portal, frame::Nonce, problem::Problem};

/// What was built into this program.
const BUILT_IN: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/portal_files.rs"));
/// What stands in the page for its nonce.
const NONCE: &str = "__ORBIT_NONCE__";
/// The page.
const INDEX: &str = "index.html";
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// The application's files.
#[derive(Debug)]
pub struct Assets {
    index: Option<String>,
    files: HashMap<String, File>,
}

#[derive(Debug)]
struct File {
    plain: Bytes,
    /// Where that is shorter.
    gzip: Option<Bytes>,
    media_type: &'static str,
    immutable: bool,
}

impl Assets {
    /// Those that were built into the program; none, where it was built without them.
    pub fn built_in() -> Self {
        Self::of(BUILT_IN.iter().copied())
    }

    /// These, by their names.
    pub fn of(files: impl IntoIterator<Item = (&'static str, &'static [u8])>) -> Self {
        let mut assets = Self { index: None, files: HashMap::new() };
        for (name, bytes) in files {
            if name == INDEX {
                assets.index = Some(String::from_utf8_lossy(bytes).into_owned());
            } else if let Some(media_type) = media_type(name) {
                let gzip = compressible(media_type).then(|| gzip(bytes)).filter(|gzip| gzip.len() < bytes.len());
                let file = File {
                    plain: Bytes::from_static(bytes),
                    gzip: gzip.map(Bytes::from),
                    media_type,
                    immutable: is_hashed(name),
                };
                assets.files.insert(name.to_owned(), file);
            }
        }
        assets
    }

    fn answer(&self, method: &Method, uri: &Uri, headers: &HeaderMap, nonce: &Nonce) -> Response {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return Problem::method_not_allowed().into_response();
        }
        if let Some(file) = self.files.get(uri.path().trim_start_matches('/')) {
            return file.answer(headers);
        }
        let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        if uri.path() != "/" && !accepted.contains("text/html") {
            return Problem::no_such_resource().into_response();
        }
        let Some(index) = &self.index else { return Problem::without_application().into_response() };
        let page = index.replace(NONCE, &nonce.0);
        ([(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], page).into_response()
    }
}

impl File {
    fn answer(&self, headers: &HeaderMap) -> Response {
        let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let takes_gzip = accepted.split(',').any(|one| matches!(one.trim(), "gzip" | "*"));
        let (bytes, encoding) = match &self.gzip {
            Some(gzip) if takes_gzip => (gzip.clone(), Some(HeaderValue::from_static("gzip"))),
            _ => (self.plain.clone(), None),
        };
        let mut response = (StatusCode::OK, bytes).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.media_type));
        headers.insert(header::CACHE_CONTROL, if self.immutable { FOR_EVER } else { ASK_AGAIN });
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Some(encoding) = encoding {
            headers.insert(header::CONTENT_ENCODING, encoding);
        }
        response
    }
}

/// `GET` whatever is nothing else.
pub async fn serve(
    State(portal): State<Portal>,
    Extension(nonce): Extension<Nonce>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    portal.assets().answer(&method, &uri, &headers, &nonce)
}

/// What a file is; nothing for what no browser asks for.
fn media_type(name: &str) -> Option<&'static str> {
    Some(match name.rsplit_once('.')?.1 {
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => return None,
    })
}

fn compressible(media_type: &str) -> bool {
    !media_type.starts_with("font/") && !matches!(media_type, "image/png" | "image/webp" | "image/x-icon")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // A vector takes all that is written to it.
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_else(|_| bytes.to_owned())
}

/// Whether a name bears a hash as Angular gives it: eight capital letters and digits before the ending.
fn is_hashed(name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let hash = stem.rsplit_once('-').map_or("", |(_, hash)| hash);
    hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &[u8] =
        b"console.log('orbit');console.log('orbit');console.log('orbit');console.log('orbit');console.log('orbit');";

    fn assets() -> Assets {
        Assets::of([
            ("index.html", b"<orbit-root ngCspNonce=\"__ORBIT_NONCE__\"></orbit-root>".as_slice()),
            ("main-QHPIFNUM.js", SCRIPT),
            ("favicon.ico", b"icon".as_slice()),
            ("media/roboto-ABCDEFG1.woff2", b"font".as_slice()),
            ("3rdpartylicenses.unknown", b"x".as_slice()),
        ])
    }

    async fn get(assets: &Assets, path: &str, headers: &[(header::HeaderName, &'static str)]) -> (Response, Vec<u8>) {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        let response = assets.answer(&Method::GET, &path.parse().unwrap(), &headers, &Nonce("n1".into()));
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap().to_vec();
        (Response::from_parts(parts, axum::body::Body::empty()), bytes)
    }

    const PAGE: (header::HeaderName, &str) = (header::ACCEPT, "text/html,application/xhtml+xml");

    #[tokio::test]
    async fn every_page_is_the_page_with_a_nonce_of_its_own() {
        let assets = assets();
        for path in ["/", "/ns/shop", "/ns/shop/environmentoverlays/web.dev", "/ns/shop/apps/web?version=1.0.0"] {
            let (response, body) = get(&assets, path, &[PAGE]).await;
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            assert_eq!(body, b"<orbit-root ngCspNonce=\"n1\"></orbit-root>");
            assert!(response.headers().get(header::CACHE_CONTROL).is_none(), "not stored, as all that says nothing");
        }
    }

    #[tokio::test]
    async fn files_are_kept_where_their_names_tell_them_apart() {
        let assets = assets();
        let cached = |response: &Response| response.headers()[header::CACHE_CONTROL].to_str().unwrap().to_owned();
        let (response, body) = get(&assets, "/main-QHPIFNUM.js", &[]).await;
        assert!(cached(&response).contains("immutable") && body == SCRIPT);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        let (response, body) = get(&assets, "/main-QHPIFNUM.js", &[(header::ACCEPT_ENCODING, "br, gzip")]).await;
        assert_eq!(response.headers()[header::CONTENT_ENCODING], "gzip");
        assert!(body.len() < SCRIPT.len());
        assert!(cached(&get(&assets, "/media/roboto-ABCDEFG1.woff2", &[]).await.0).contains("immutable"));
        assert_eq!(cached(&get(&assets, "/favicon.ico", &[]).await.0), "no-cache");
    }

    #[tokio::test]
    async fn what_is_not_there_is_not() {
        let assets = assets();
        for path in ["/main-OTHERONE.js", "/../main-QHPIFNUM.js", "/%2e%2e/etc/passwd", "//index.html", "/index.html"] {
            assert_eq!(
                get(&assets, path, &[(header::ACCEPT, "*/*")]).await.0.status(),
                StatusCode::NOT_FOUND,
                "{path}"
            );
        }
        let none = Assets::of([]);
        let (response, body) = get(&none, "/", &[PAGE]).await;
        assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED);
        assert!(String::from_utf8(body).unwrap().contains("make portal"));
    }
}
