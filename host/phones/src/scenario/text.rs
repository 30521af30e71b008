//! Writes the templates of requests and replies as a phone of RFC 3261 section 8.1 and 12.2 would.

use toml::Spanned;

use super::file::{Direction, Line};
use super::problem::Problem;
use super::program::Party;
use crate::ids::COOKIE;
use crate::template::{Part, Piece, Template};

/// Who takes part, and how they are called.
pub(super) struct Names {
    pub(super) roles: Vec<String>,
    pub(super) domain: String,
    /// Requests name the user at the domain, not the phone's address.
    pub(super) aor: bool,
}

impl Names {
    /// A hint at the name that may have been meant.
    pub(super) fn nearest(&self, name: &str) -> Option<String> {
        self.roles
            .iter()
            .map(|role| (strsim::damerau_levenshtein(role, name), role))
            .min()
            .filter(|(distance, role)| *distance <= (role.len() / 3).max(1))
            .map(|(_, role)| format!("is `{role}` meant?"))
    }
}

/// What a request is made of.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) from: usize,
    pub(super) to: Party,
    /// The transaction whose branch it has.
    pub(super) branch: usize,
    pub(super) dialog: usize,
    pub(super) cseq: u32,
    /// Inside of a dialog: whether its sender began it.
    pub(super) in_dialog: Option<bool>,
}

/// Pieces in the making.
pub(super) struct Writer<'a> {
    names: &'a Names,
    pieces: Vec<Piece>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(names: &'a Names) -> Writer<'a> {
        Writer {
            names,
            pieces: Vec::new(),
        }
    }

    fn text(&mut self, text: &str) {
        self.pieces.push(Piece::Text(text.as_bytes().to_vec()));
    }

    fn push(&mut self, piece: Piece) {
        self.pieces.push(piece);
    }

    fn begin(&mut self, part: Part) {
        self.push(Piece::Begin(part));
    }

    fn end(&mut self, part: Part) {
        self.push(Piece::End(part));
    }

    /// `sip:alice@example.test`
    fn aor(&mut self, role: usize) {
        self.text("sip:");
        self.push(Piece::User(role));
        self.text(&format!("@{}", self.names.domain));
    }

    /// `sip:alice@127.0.0.1:5071`
    fn contact(&mut self, role: usize) {
        self.text("sip:");
        self.push(Piece::User(role));
        self.text("@");
        self.push(Piece::Address(role));
    }

    /// What a request from outside of a dialog names.
    fn dial(&mut self, role: usize) {
        if self.names.aor {
            self.aor(role);
        } else {
            self.contact(role);
        }
    }

    /// The tag of a phone: nobody knows it but who had a message of it.
    fn tag(&mut self, role: usize) {
        self.text(&format!(";tag={role:02x}"));
        self.push(Piece::Id);
    }

    /// A request up to where its own header fields begin.
    pub(super) fn request(&mut self, request: &Request<'_>) {
        let Request { method, from, .. } = *request;
        let remote = match request.to {
            Party::Phone(to) => Some(to),
            Party::Server => None,
        };
        self.text(&format!("{method} "));
        self.begin(Part::Uri);
        match remote {
            Some(to) if request.in_dialog.is_some() => self.contact(to),
            Some(to) => self.dial(to),
            None if method == "REGISTER" => self.text(&format!("sip:{}", self.names.domain)),
            None => {
                self.text("sip:");
                self.push(Piece::Target);
            }
        }
        self.end(Part::Uri);
        self.text(" SIP/2.0\r\nVia: ");
        self.begin(Part::Via);
        self.text("SIP/2.0/UDP ");
        self.push(Piece::Address(from));
        self.text(";rport;branch=");
        self.push(Piece::Text(COOKIE.to_vec()));
        self.push(Piece::Id);
        self.text(&format!("{:02x}", request.branch));
        self.push(Piece::Attempt);
        self.end(Part::Via);
        self.text("\r\n");
        if let Some(initiator) = request.in_dialog {
            self.push(Piece::Routes {
                dialog: request.dialog,
                reversed: initiator,
            });
        }
        self.text("Max-Forwards: 70\r\nFrom: ");
        self.begin(Part::From);
        self.text("<");
        self.aor(from);
        self.text(">");
        self.tag(from);
        self.end(Part::From);
        self.text("\r\nTo: ");
        self.begin(Part::To);
        self.text("<");
        match remote {
            Some(to) => self.aor(to),
            None if method == "REGISTER" => self.aor(from),
            None => {
                self.text("sip:");
                self.push(Piece::Target);
            }
        }
        self.text(">");
        if let (Some(to), Some(_)) = (remote, request.in_dialog) {
            self.tag(to);
        }
        self.end(Part::To);
        self.text("\r\nCall-ID: ");
        self.begin(Part::CallId);
        self.push(Piece::Id);
        self.text(&format!("{:02x}@phones", request.dialog));
        self.end(Part::CallId);
        self.text("\r\nCSeq: ");
        self.push(Piece::CSeq(request.cseq));
        self.text(&format!(" {method}\r\n"));
        if matches!(
            method,
            "INVITE" | "REGISTER" | "REFER" | "SUBSCRIBE" | "NOTIFY" | "UPDATE"
        ) {
            self.contact_field(from);
        }
        self.push(Piece::Credentials);
        self.text("User-Agent: switchhook phones\r\n");
    }

    /// A reply up to where its own header fields begin.
    pub(super) fn reply(&mut self, status: u16, from: usize, in_dialog: bool, forms_dialog: bool) {
        self.text(&format!("SIP/2.0 {status} {}\r\n", reason(status)));
        self.push(Piece::Echo);
        if status > 100 && !in_dialog {
            self.tag(from);
        }
        self.text("\r\n");
        if forms_dialog {
            self.contact_field(from);
        }
        self.text("Server: switchhook phones\r\n");
    }

    fn contact_field(&mut self, role: usize) {
        self.text("Contact: ");
        self.begin(Part::Contact);
        self.text("<");
        self.contact(role);
        self.text(">");
        self.end(Part::Contact);
        self.text("\r\n");
    }

    /// The header fields and the body that a step gives, and what goes with them.
    pub(super) fn rest(
        mut self,
        line: &Line,
        role: usize,
        registers: bool,
    ) -> Result<Template, Problem> {
        let mut given = false;
        for (name, value) in &line.headers {
            let token = |b: u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b);
            if name.is_empty() || !name.bytes().all(token) || value.get_ref().contains(['\r', '\n'])
            {
                let label = "expected a header name and a value on one line";
                return Err(Problem::at(value.span(), "this is no header field", label));
            }
            given |= name.eq_ignore_ascii_case("Expires");
            self.text(&format!("{name}: "));
            self.with_holes(value)?;
            self.text("\r\n");
        }
        if registers && !given {
            self.text("Expires: 3600\r\n");
        }
        match (&line.sdp, &line.text) {
            (Some(_), Some(text)) => {
                let label = "expected `sdp` or `text`, not both";
                return Err(Problem::at(text.span(), "a message has one body", label));
            }
            (Some(direction), None) => {
                self.content(line.kind.as_deref().unwrap_or("application/sdp"));
                self.sdp(role, *direction);
            }
            (None, Some(text)) => {
                self.content(line.kind.as_deref().unwrap_or("text/plain"));
                self.with_holes(text)?;
            }
            (None, None) => return Ok(self.no_body()),
        }
        Ok(Template::new(self.pieces))
    }

    /// The end of the head; the body follows.
    fn content(&mut self, kind: &str) {
        self.text("Content-Type: ");
        self.begin(Part::Kind);
        self.text(kind);
        self.end(Part::Kind);
        self.text("\r\nContent-Length: ");
        self.push(Piece::Length);
        self.text("\r\n\r\n");
        self.push(Piece::Body);
    }

    /// The end of a message without a body.
    pub(super) fn no_body(mut self) -> Template {
        self.text("Content-Length: 0\r\n\r\n");
        Template::new(self.pieces)
    }

    /// A session description (RFC 8866) with one stream.
    fn sdp(&mut self, role: usize, direction: Direction) {
        self.text("v=0\r\no=- 1 1 IN ");
        self.push(Piece::Media(role));
        self.text("\r\ns=-\r\nc=IN ");
        self.push(Piece::Media(role));
        self.text("\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=");
        self.text(direction.as_str());
        self.text("\r\n");
    }

    /// Text with `{holes}`.
    fn with_holes(&mut self, text: &Spanned<String>) -> Result<(), Problem> {
        let mut rest = text.get_ref().as_str();
        while let Some((before, after)) = rest.split_once('{') {
            self.text(before);
            let (hole, after) = after.split_once('}').ok_or_else(|| {
                let label = "expected `}` behind `{`";
                Problem::at(text.span(), "this text is not closed", label)
            })?;
            self.hole(hole, text)?;
            rest = after;
        }
        self.text(rest);
        Ok(())
    }

    fn hole(&mut self, hole: &str, text: &Spanned<String>) -> Result<(), Problem> {
        match hole {
            "call" => self.push(Piece::Id),
            "server" => self.push(Piece::Target),
            "domain" => self.text(&self.names.domain.clone()),
            _ => {
                let unknown = || {
                    let label = "expected `{call}`, `{server}`, `{domain}`, or a phone's `{NAME.user}`, `{NAME.aor}`, \
                                 `{NAME.contact}` or `{NAME.dial}`";
                    Problem::at(
                        text.span(),
                        format!("there is nothing called `{{{hole}}}`"),
                        label,
                    )
                };
                let (name, what) = hole.split_once('.').ok_or_else(unknown)?;
                let role = self.names.roles.iter().position(|role| role == name);
                let role = role.ok_or_else(unknown)?;
                match what {
                    "user" => self.push(Piece::User(role)),
                    "aor" => self.aor(role),
                    "contact" => self.contact(role),
                    "dial" => self.dial(role),
                    _ => return Err(unknown()),
                }
            }
        }
        Ok(())
    }
}

/// The phrase of a status.
fn reason(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        302 => "Moved Temporarily",
        404 => "Not Found",
        480 => "Temporarily Unavailable",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        603 => "Decline",
        _ => match status / 100 {
            1 => "Progress",
            2 => "Accepted",
            3 => "Elsewhere",
            _ => "Refused",
        },
    }
}
