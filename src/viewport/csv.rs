//! Events as lines of RFC 4180, for spreadsheets.

use super::audit_event::{AuditEvent, AuditRequest};

const COLUMNS: [&str; 25] = [
    "at",
    "actor",
    "type",
    "application",
    "version",
    "environment",
    "digest",
    "detail",
    "seq",
    "id",
    "hash",
    "prevHash",
    "namespace",
    "journal",
    "object",
    "digestBefore",
    "specDigest",
    "address",
    "method",
    "path",
    "status",
    "count",
    "lastAt",
    "stream",
    "request",
];

/// The line of headings.
pub fn heading() -> String {
    COLUMNS.join(",") + "\r\n"
}

/// An event's line.
pub fn line(event: &AuditEvent) -> String {
    let number = |number: i64| number.to_string();
    let request = event.request.as_ref();
    let of_request = |of: fn(&AuditRequest) -> &str| request.map(of);
    let status = request.and_then(|request| request.status).map(number);
    let (seq, count) = (number(event.seq), request.map(|request| number(request.count)));
    let fields: [Option<&str>; 25] = [
        Some(&event.at),
        Some(&event.actor),
        Some(&event.kind),
        event.application.as_deref(),
        event.version.as_deref(),
        event.environment.as_deref(),
        event.digest.as_deref(),
        event.detail.as_deref(),
        Some(&seq),
        Some(&event.id),
        Some(&event.hash),
        event.prev_hash.as_deref(),
        event.namespace.as_deref(),
        Some(&event.journal),
        event.object.as_deref(),
        event.digest_before.as_deref(),
        event.spec_digest.as_deref(),
        event.address.as_deref(),
        of_request(|request| &request.method),
        of_request(|request| &request.path),
        status.as_deref(),
        count.as_deref(),
        of_request(|request| &request.last_at),
        request.and_then(|request| request.stream.as_deref()),
        of_request(|request| &request.id),
    ];
    fields.map(|field| field.map(quoted).unwrap_or_default()).join(",") + "\r\n"
}

/// A field in quotes where it needs them. What a spreadsheet would take for a formula is made text.
fn quoted(field: &str) -> String {
    let formula = field.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let field = if formula { format!("'{field}") } else { field.to_owned() };
    if formula || field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_what_they_were_and_no_formulas() {
        for (field, expected) in [
            ("web", "web"),
            ("a,b", "\"a,b\""),
            ("say \"no\"\n", "\"say \"\"no\"\"\n\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("@maria", "\"'@maria\""),
        ] {
            assert_eq!(quoted(field), expected);
        }
    }
}
