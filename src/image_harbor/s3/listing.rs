//! The keys below a prefix, a page at a time, for as long as the server says that there are more.

use super::S3Harbor;
use crate::image_harbor::HarborError;

/// A listing under way.
pub(super) struct Listing<'a> {
    harbor: &'a S3Harbor,
    prefix: String,
    position: Position,
}

/// Where a listing goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Position {
    /// Behind this key, which need not exist.
    After(Option<String>),
    /// Where the server said.
    Token(String),
    /// There is no more.
    End,
}

impl<'a> Listing<'a> {
    /// The keys that begin with `prefix` and come after a key.
    pub(super) fn new(harbor: &'a S3Harbor, prefix: impl Into<String>, after: Option<String>) -> Self {
        Self { harbor, prefix: prefix.into(), position: Position::After(after) }
    }

    /// The next keys, at most `most` and never more than 1000; none at the end. A page may be short, or empty, although
    /// more follow: only the server knows.
    pub(super) async fn next(&mut self, most: usize) -> Result<Option<Vec<String>>, HarborError> {
        let doing = "listing";
        let list = self.harbor.client.list_objects_v2().bucket(&self.harbor.bucket).prefix(&self.prefix);
        let list = match self.position.clone() {
            Position::End => return Ok(None),
            Position::After(key) => list.set_start_after(key),
            Position::Token(token) => list.continuation_token(token),
        };
        let page = list.max_keys(most.min(1000) as i32).send().await.map_err(self.harbor.refused(doing))?;
        let next = match (page.is_truncated, page.next_continuation_token) {
            (Some(true), Some(token)) => Position::Token(token),
            (Some(true), None) => {
                return Err(self.harbor.unavailable(doing, "the server has more keys but does not say where"));
            }
            _ => Position::End,
        };
        if next == self.position {
            return Err(self.harbor.unavailable(doing, "the server gives the same page for ever"));
        }
        self.position = next;
        Ok(Some(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect()))
    }
}
