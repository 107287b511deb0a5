//! Until when a credential is good, read from the credential itself.
//!
//! Only to say so in a condition before the API server refuses it with a mere "unauthorized": nothing is verified here,
//! and nothing is decided by it but that.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::{Timestamp, civil::DateTime, tz::Offset};

const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xA0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// When a certificate in DER ends (RFC 5280, 4.1.2.5); none if it never does or that cannot be read.
pub fn expiry(certificate: &[u8]) -> Option<Timestamp> {
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut rest, _) = element(certificate, SEQUENCE)?;
    if rest.first() == Some(&EXPLICIT_VERSION) {
        rest = any_element(rest)?.2;
    }
    // Serial number, signature algorithm and issuer come before the validity.
    for _ in 0..3 {
        rest = any_element(rest)?.2;
    }
    let (validity, _) = element(rest, SEQUENCE)?;
    let (tag, end, _) = any_element(any_element(validity)?.2)?;
    time(tag, std::str::from_utf8(end).ok()?)
}

/// When a JSON Web Token ends (RFC 7519, 4.1.4), as service account tokens do; none in other tokens.
pub fn token_expiry(token: &str) -> Option<Timestamp> {
    let mut parts = token.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    let claims: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
    Timestamp::from_second(claims["exp"].as_i64()?).ok()
}

fn element(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    any_element(der).filter(|(tag, ..)| *tag == wanted).map(|(_, content, rest)| (content, rest))
}

/// The first element's tag and content, and what follows it.
fn any_element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7F => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn time(tag: u8, text: &str) -> Option<Timestamp> {
    let text = match tag {
        // Two digits of a year are of 1950 to 2049.
        UTC_TIME => format!("{}{text}", if text.get(..2)? < "50" { "20" } else { "19" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()?;
    Offset::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_both_forms_are_read() {
        let at = |tag, text| time(tag, text).map(|time| time.to_string());
        assert_eq!(at(UTC_TIME, "261124150000Z").as_deref(), Some("2026-11-24T15:00:00Z"));
        assert_eq!(at(UTC_TIME, "991231235959Z").as_deref(), Some("1999-12-31T23:59:59Z"));
        assert_eq!(at(GENERALIZED_TIME, "20500101000000Z").as_deref(), Some("2050-01-01T00:00:00Z"));
        // What RFC 5280 writes for "never".
        assert_eq!(at(GENERALIZED_TIME, "99991231235959Z"), None);
        assert_eq!(at(UTC_TIME, "soon"), None);
        assert_eq!(at(UTC_TIME, "ä61124150000Z"), None);
    }

    #[test]
    fn a_token_that_is_a_jwt_tells_its_end() {
        let jwt = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(token_expiry(&jwt(r#"{"exp":1764000000}"#)), Timestamp::from_second(1_764_000_000).ok());
        assert_eq!(token_expiry(&jwt("{}")), None);
        assert_eq!(token_expiry("k3s-opaque-token"), None);
        assert_eq!(token_expiry("a.b.c"), None);
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        for bytes in [&b""[..], b"\x30", b"\x30\x84\xff\xff\xff\xff", b"\x30\x80", &[0x30; 64]] {
            assert_eq!(expiry(bytes), None);
        }
    }
}
