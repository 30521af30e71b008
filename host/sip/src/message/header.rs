//! Header field names: the ids of those we know, their compact forms, and which may hold a comma list.
//!
//! A name is found by its length and first letter in a table made at compile time, then compared without case; nothing is
//! hashed. RFC 3261 section 20 and the IANA registry of SIP header fields.

use std::fmt;

macro_rules! headers {
    ($($id:ident $name:literal $compact:tt $kind:ident;)*) => {
        /// The id of a header field whose name we know; any other is [`HeaderId::Other`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum HeaderId {
            /// A name not in this list.
            Other,
            $(
                #[doc = concat!("`", $name, "`")]
                $id,
            )*
        }

        /// Indexed by id; [`HeaderId::Other`] has an empty name.
        const HEADERS: &[Header] = &[
            Header { id: HeaderId::Other, name: "", compact: 0, list: false },
            $(Header { id: HeaderId::$id, name: $name, compact: compact!($compact), list: list!($kind) },)*
        ];
    };
}

macro_rules! compact {
    (-) => {
        0
    };
    ($letter:literal) => {
        $letter
    };
}

macro_rules! list {
    (list) => {
        true
    };
    (one) => {
        false
    };
}

struct Header {
    id: HeaderId,
    name: &'static str,
    compact: u8,
    list: bool,
}

headers! {
    Accept "Accept" - list;
    AcceptContact "Accept-Contact" b'a' list;
    AcceptEncoding "Accept-Encoding" - list;
    AcceptLanguage "Accept-Language" - list;
    AlertInfo "Alert-Info" - list;
    Allow "Allow" - list;
    AllowEvents "Allow-Events" b'u' list;
    AuthenticationInfo "Authentication-Info" - one;
    Authorization "Authorization" - one;
    CallId "Call-ID" b'i' one;
    CallInfo "Call-Info" - list;
    Contact "Contact" b'm' list;
    ContentDisposition "Content-Disposition" - one;
    ContentEncoding "Content-Encoding" b'e' list;
    ContentId "Content-ID" - one;
    ContentLanguage "Content-Language" - list;
    ContentLength "Content-Length" b'l' one;
    ContentType "Content-Type" b'c' one;
    Cseq "CSeq" - one;
    Date "Date" - one;
    Diversion "Diversion" - list;
    ErrorInfo "Error-Info" - list;
    Event "Event" b'o' one;
    Expires "Expires" - one;
    FeatureCaps "Feature-Caps" - list;
    FlowTimer "Flow-Timer" - one;
    From "From" b'f' one;
    Geolocation "Geolocation" - list;
    HistoryInfo "History-Info" - list;
    Identity "Identity" b'y' list;
    IdentityInfo "Identity-Info" b'n' one;
    InReplyTo "In-Reply-To" - list;
    Join "Join" - one;
    MaxBreadth "Max-Breadth" - one;
    MaxForwards "Max-Forwards" - one;
    MimeVersion "MIME-Version" - one;
    MinExpires "Min-Expires" - one;
    MinSe "Min-SE" - one;
    Organization "Organization" - one;
    PAccessNetworkInfo "P-Access-Network-Info" - list;
    PAssertedIdentity "P-Asserted-Identity" - list;
    PAssociatedUri "P-Associated-URI" - list;
    PCalledPartyId "P-Called-Party-ID" - one;
    PChargingVector "P-Charging-Vector" - one;
    PPreferredIdentity "P-Preferred-Identity" - list;
    Path "Path" - list;
    Priority "Priority" - one;
    Privacy "Privacy" - one;
    ProxyAuthenticate "Proxy-Authenticate" - one;
    ProxyAuthenticationInfo "Proxy-Authentication-Info" - one;
    ProxyAuthorization "Proxy-Authorization" - one;
    ProxyRequire "Proxy-Require" - list;
    RAck "RAck" - one;
    RSeq "RSeq" - one;
    Reason "Reason" - list;
    RecordRoute "Record-Route" - list;
    ReferSub "Refer-Sub" - one;
    ReferTo "Refer-To" b'r' one;
    ReferredBy "Referred-By" b'b' one;
    RejectContact "Reject-Contact" b'j' list;
    RemotePartyId "Remote-Party-ID" - list;
    Replaces "Replaces" - one;
    ReplyTo "Reply-To" - one;
    RequestDisposition "Request-Disposition" b'd' list;
    Require "Require" - list;
    ResourcePriority "Resource-Priority" - list;
    RetryAfter "Retry-After" - one;
    Route "Route" - list;
    SecurityClient "Security-Client" - list;
    SecurityServer "Security-Server" - list;
    SecurityVerify "Security-Verify" - list;
    Server "Server" - one;
    ServiceRoute "Service-Route" - list;
    SessionExpires "Session-Expires" b'x' one;
    SessionId "Session-ID" - one;
    SipEtag "SIP-ETag" - one;
    SipIfMatch "SIP-If-Match" - one;
    Subject "Subject" b's' one;
    SubscriptionState "Subscription-State" - one;
    Supported "Supported" b'k' list;
    TargetDialog "Target-Dialog" - one;
    Timestamp "Timestamp" - one;
    To "To" b't' one;
    Unsupported "Unsupported" - list;
    UserAgent "User-Agent" - one;
    UserToUser "User-to-User" - list;
    Via "Via" b'v' list;
    Warning "Warning" - list;
    WwwAuthenticate "WWW-Authenticate" - one;
}

/// First entry for a (length, first letter), or 0; `NEXT` chains those that share it.
const SLOTS: usize = 32 * 32;

const fn slot(len: usize, first: u8) -> usize {
    ((len & 31) << 5) | (first & 31) as usize
}

#[expect(
    clippy::indexing_slicing,
    reason = "runs at compile time, where a wrong index is a compile error"
)]
const fn chains() -> ([u8; SLOTS], [u8; HEADERS.len()]) {
    // A set of them fits a u128.
    assert!(HEADERS.len() <= 128);
    let mut head = [0u8; SLOTS];
    let mut next = [0u8; HEADERS.len()];
    let mut i = 1;
    while i < HEADERS.len() {
        let name = HEADERS[i].name.as_bytes();
        assert!(name.len() < 32 && HEADERS[i].id as usize == i);
        let at = slot(name.len(), name[0]);
        next[i] = head[at];
        head[at] = i as u8;
        i += 1;
    }
    (head, next)
}

#[expect(
    clippy::indexing_slicing,
    reason = "runs at compile time, where a wrong index is a compile error"
)]
const fn compacts() -> [HeaderId; 32] {
    let mut table = [HeaderId::Other; 32];
    let mut i = 1;
    while i < HEADERS.len() {
        if HEADERS[i].compact != 0 {
            let at = (HEADERS[i].compact & 31) as usize;
            assert!(table[at] as u8 == HeaderId::Other as u8);
            table[at] = HEADERS[i].id;
        }
        i += 1;
    }
    table
}

static CHAINS: ([u8; SLOTS], [u8; HEADERS.len()]) = chains();
static COMPACTS: [HeaderId; 32] = compacts();

impl HeaderId {
    /// The id of a name, whatever its case, compact or long.
    ///
    /// ```
    /// use switchhook_sip::message::HeaderId;
    /// assert_eq!(HeaderId::of(b"v"), HeaderId::Via);
    /// assert_eq!(HeaderId::of(b"MaX-fOrWaRdS"), HeaderId::MaxForwards);
    /// assert_eq!(HeaderId::of(b"X-Mine"), HeaderId::Other);
    /// ```
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        match name {
            [] => Self::Other,
            [letter] if letter.is_ascii_alphabetic() => COMPACTS
                .get(usize::from(letter & 31))
                .copied()
                .unwrap_or(Self::Other),
            [first, ..] => {
                let (head, next) = &CHAINS;
                let mut at = head.get(slot(name.len(), *first)).copied().unwrap_or(0);
                while at != 0 {
                    let Some(header) = HEADERS.get(usize::from(at)) else {
                        return Self::Other;
                    };
                    let known = header.name.as_bytes();
                    // Most come as the RFC writes them.
                    if name == known || name.eq_ignore_ascii_case(known) {
                        return header.id;
                    }
                    at = next.get(usize::from(at)).copied().unwrap_or(0);
                }
                Self::Other
            }
        }
    }

    /// Every header whose name we know, by rising number (`id as u8`). The numbers are part of the contract with scripts
    /// (docs/headers.md): new names go to the end of the list.
    pub fn all() -> impl Iterator<Item = Self> {
        HEADERS.iter().skip(1).map(|header| header.id)
    }

    fn header(self) -> &'static Header {
        HEADERS.get(self as usize).unwrap_or(&Header {
            id: Self::Other,
            name: "",
            compact: 0,
            list: false,
        })
    }

    /// The long name as the RFC writes it; empty for [`HeaderId::Other`].
    pub fn name(self) -> &'static str {
        self.header().name
    }

    /// The one-letter form, where there is one.
    pub fn compact(self) -> Option<char> {
        match self.header().compact {
            0 => None,
            letter => Some(char::from(letter)),
        }
    }

    /// True where the grammar lets several values stand in one field, parted by commas (RFC 3261 7.3.1).
    pub fn is_list(self) -> bool {
        self.header().list
    }
}

impl fmt::Display for HeaderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other => f.write_str("header"),
            known => f.write_str(known.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_id_in_any_case_and_form() {
        for header in HEADERS.iter().skip(1) {
            assert_eq!(HeaderId::of(header.name.as_bytes()), header.id);
            assert_eq!(
                HeaderId::of(header.name.to_uppercase().as_bytes()),
                header.id
            );
            assert_eq!(
                HeaderId::of(header.name.to_lowercase().as_bytes()),
                header.id
            );
            if let Some(letter) = header.id.compact() {
                assert_eq!(HeaderId::of(letter.to_string().as_bytes()), header.id);
                assert_eq!(
                    HeaderId::of(letter.to_uppercase().to_string().as_bytes()),
                    header.id
                );
            }
        }
    }

    #[test]
    fn near_names_are_others() {
        for name in [
            "",
            "x-via",
            "vi",
            "Vias",
            "z",
            "C%6Fntact",
            "1",
            "Call_ID",
            "Too",
            "\u{e9}",
            "6",
            "V\u{0}a",
        ] {
            assert_eq!(HeaderId::of(name.as_bytes()), HeaderId::Other, "{name}");
        }
        assert_eq!(HeaderId::of(&[b'a'; 34]), HeaderId::Other);
    }
}
