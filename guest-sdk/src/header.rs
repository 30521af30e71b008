//! Names of header fields, and lists in their values.

/// The compact forms of the IANA registry, as (letter, long name).
const COMPACT: &[(u8, &str)] = &[
    (b'a', "Accept-Contact"),
    (b'b', "Referred-By"),
    (b'c', "Content-Type"),
    (b'd', "Request-Disposition"),
    (b'e', "Content-Encoding"),
    (b'f', "From"),
    (b'i', "Call-ID"),
    (b'j', "Reject-Contact"),
    (b'k', "Supported"),
    (b'l', "Content-Length"),
    (b'm', "Contact"),
    (b'n', "Identity-Info"),
    (b'o', "Event"),
    (b'r', "Refer-To"),
    (b's', "Subject"),
    (b't', "To"),
    (b'u', "Allow-Events"),
    (b'v', "Via"),
    (b'x', "Session-Expires"),
    (b'y', "Identity"),
];

/// The fields whose grammar is a comma-separated list (RFC 3261 section 25 and the fields of later RFCs). A comma in any other
/// value is just a comma.
const LISTS: &[&str] = &[
    "Accept",
    "Accept-Contact",
    "Accept-Encoding",
    "Accept-Language",
    "Alert-Info",
    "Allow",
    "Allow-Events",
    "Call-Info",
    "Contact",
    "Content-Encoding",
    "Content-Language",
    "Diversion",
    "Error-Info",
    "Feature-Caps",
    "Geolocation",
    "History-Info",
    "Identity",
    "In-Reply-To",
    "P-Access-Network-Info",
    "P-Asserted-Identity",
    "P-Associated-URI",
    "P-Preferred-Identity",
    "Path",
    "Proxy-Require",
    "Reason",
    "Record-Route",
    "Reject-Contact",
    "Remote-Party-ID",
    "Request-Disposition",
    "Require",
    "Resource-Priority",
    "Route",
    "Security-Client",
    "Security-Server",
    "Security-Verify",
    "Service-Route",
    "Supported",
    "Unsupported",
    "User-to-User",
    "Via",
    "Warning",
];

/// Whether a field as it is written has that name: in any case, long or compact, whichever of the two is which.
pub(crate) fn same(written: &[u8], name: &str) -> bool {
    if written.len() == name.len() {
        return written.eq_ignore_ascii_case(name.as_bytes());
    }
    match (written, name.as_bytes()) {
        ([letter], long) | (long, [letter]) => {
            let letter = letter.to_ascii_lowercase();
            COMPACT
                .iter()
                .any(|(c, n)| *c == letter && long.eq_ignore_ascii_case(n.as_bytes()))
        }
        _ => false,
    }
}

/// Whether a field's grammar is a comma-separated list.
pub(crate) fn is_list(name: &str) -> bool {
    LISTS.iter().any(|list| same(list.as_bytes(), name))
}

/// The values of a field: at each comma outside of quotes and angle brackets where it is a list, else the one.
pub(crate) fn values(value: &str, list: bool) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = if list { comma(text) } else { text.len() };
        rest = text.get(end + 1..);
        text.get(..end).map(str::trim)
    })
}

fn comma(text: &str) -> usize {
    let (mut quoted, mut escaped, mut angle) = (false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' if !angle => quoted = !quoted,
            _ if quoted => {}
            b'<' => angle = true,
            b'>' => angle = false,
            b',' if !angle => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_compact_forms_are_those_of_docs_headers_md() {
        let table = include_str!("../../docs/headers.md");
        let rows = table.lines().filter(|line| line.starts_with("| "));
        let mut known = 0;
        for row in rows.filter(|row| !row.starts_with("| id")) {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let [_, _, name, compact, list, _] = cells[..] else {
                panic!("not a row: {row}");
            };
            known += 1;
            assert_eq!(is_list(name), list == "yes", "{row}");
            let letter = compact.trim_matches('`');
            assert!(letter.is_empty() || same(letter.as_bytes(), name), "{row}");
        }
        assert!(known > 80, "the table is not where it should be");
    }

    #[test]
    fn compact_forms_are_their_long_names() {
        assert!(same(b"f", "From") && same(b"From", "F") && same(b"FROM", "from"));
        assert!(!same(b"f", "To") && !same(b"fr", "From"));
    }

    #[test]
    fn commas_in_quotes_and_brackets_part_nothing() {
        let value = r#""Bob, \"B\"" <sip:bob,x@b> , <sip:c@d>;q=0.5,sip:e@f"#;
        let parts: Vec<_> = values(value, true).collect();
        assert_eq!(
            parts,
            [
                r#""Bob, \"B\"" <sip:bob,x@b>"#,
                "<sip:c@d>;q=0.5",
                "sip:e@f"
            ]
        );
        assert_eq!(values("Sat, 21 Nov", false).count(), 1);
    }
}
