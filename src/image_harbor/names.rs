//! Names that become parts of paths and keys. Whatever comes from outside goes through here first.

use uuid::Uuid;

use super::{HarborError, StagedChunk};

/// Refuses what is no plain name: no separators, no dots in front, nothing a shell or a file system gives a meaning to.
pub(super) fn check(what: &'static str, name: &str) -> Result<(), HarborError> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let good = name.len() <= 128
        && name.bytes().all(plain)
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    if good { Ok(()) } else { Err(HarborError::InvalidName { what, name: name.chars().take(140).collect() }) }
}

/// Refuses what cannot name an upload session.
pub(super) fn check_session(session: &str) -> Result<(), HarborError> {
    check("an upload session", session)
}

/// Refuses what the Harbor never named a piece: a piece's name passes through clients and other stores.
pub(super) fn check_chunk(session: &str, chunk: &StagedChunk) -> Result<(), HarborError> {
    check_session(session)?;
    match Uuid::try_parse(&chunk.id) {
        Ok(id) if id.to_string() == chunk.id => Ok(()),
        _ => Err(not_staged(session, chunk)),
    }
}

pub(super) fn not_staged(session: &str, chunk: &StagedChunk) -> HarborError {
    HarborError::NotStaged { session: session.to_owned(), id: chunk.id.chars().take(140).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_only() {
        for name in ["a", "0", "9f2c1e0b-5d", "shop_web.1.4.0", &"a".repeat(128)] {
            assert!(check_session(name).is_ok(), "{name}");
        }
        for name in
            ["", ".", "..", "../x", "a/b", "a\\b", ".hidden", "-rf", "a b", "a\0", "ä", "a%2f", &"a".repeat(129)]
        {
            assert!(matches!(check_session(name), Err(HarborError::InvalidName { .. })), "{name}");
        }
    }

    #[test]
    fn a_piece_is_named_by_the_harbor_only() {
        let chunk = |id: &str| StagedChunk { id: id.to_owned(), size: 1 };
        assert!(check_chunk("s", &chunk(&Uuid::new_v4().to_string())).is_ok());
        for id in
            ["", "..", "../../index.json", "{67e55044-10b1-426f-9247-bb680e5fe0c8}", "67e5504410b1426f9247bb680e5fe0c8"]
        {
            assert!(matches!(check_chunk("s", &chunk(id)), Err(HarborError::NotStaged { .. })), "{id}");
        }
    }
}
