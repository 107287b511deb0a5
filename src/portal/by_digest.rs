//! Answers that are known by a digest: whoever has one already is not sent it again, nor is it read.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::digest::Digest;

/// What is asked for, as whoever asks may have it already.
#[derive(Debug)]
pub struct ByDigest {
    tag: String,
    known: bool,
}

impl ByDigest {
    /// What has this digest, asked for with these headers.
    pub fn of(digest: &Digest, asked: &HeaderMap) -> Self {
        let tag = format!("\"{digest}\"");
        let known = asked
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|one| one.trim().trim_start_matches("W/"))
            .any(|one| one == tag || one == "*");
        Self { tag, known }
    }

    /// The answer to whoever has it already.
    pub fn not_modified(&self) -> Option<Response> {
        self.known.then(|| self.tagged(StatusCode::NOT_MODIFIED.into_response()))
    }

    /// An answer that a browser may keep, if it asks each time whether it is still the same, and whether it still may.
    pub fn tagged(&self, mut answer: Response) -> Response {
        if let Ok(tag) = HeaderValue::from_str(&self.tag) {
            answer.headers_mut().insert(header::ETAG, tag);
        }
        answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        answer
    }

    /// A file to be kept. Its name is of letters, digits, `.` and `-`.
    pub fn file(&self, name: &str, media_type: &'static str, content: impl Into<Body>) -> Response {
        let mut answer = self.tagged(Response::new(content.into()));
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        if let Ok(disposition) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\"")) {
            answer.headers_mut().insert(header::CONTENT_DISPOSITION, disposition);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_it_already_is_not_sent_it() {
        let digest = Digest::of("chart");
        let known = |value: &str| {
            let asked = HeaderMap::from_iter([(header::IF_NONE_MATCH, value.parse().unwrap())]);
            ByDigest::of(&digest, &asked).not_modified().is_some()
        };
        for value in [format!("\"{digest}\""), format!("\"x\", W/\"{digest}\""), "*".to_owned()] {
            assert!(known(&value), "{value}");
        }
        for value in ["\"x\"", "", &digest.to_string()] {
            assert!(!known(value), "{value}");
        }
        assert!(ByDigest::of(&digest, &HeaderMap::new()).not_modified().is_none());
    }
}
