//! A scenario as it is written: TOML with a list of steps. See docs/phones.md for the language.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct File {
    /// One line for people.
    pub(super) about: String,
    /// Names of the phones that take part.
    pub(super) phones: Vec<Spanned<String>>,
    /// What request URIs name.
    #[serde(default)]
    pub(super) dial: Dial,
    pub(super) steps: Vec<Spanned<Line>>,
}

/// What the request URI of a request outside of a dialog names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Dial {
    /// The phone's own address: the server passes it on there.
    #[default]
    Contact,
    /// The user at the domain: the server looks the phone up, which is registered before.
    Aor,
}

/// One step: a request, a reply or a pause.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Line {
    /// Who sends it: a phone, or `server` for a reply.
    pub(super) from: Option<Spanned<String>>,
    /// A method.
    pub(super) request: Option<Spanned<String>>,
    /// A status.
    pub(super) reply: Option<Spanned<u16>>,
    /// For how long nothing is sent.
    pub(super) pause: Option<Spanned<String>>,
    /// Who the request is for: a phone or `server`.
    pub(super) to: Option<Spanned<String>>,
    /// A session description with this direction as its body.
    pub(super) sdp: Option<Direction>,
    /// Plain text as its body.
    pub(super) text: Option<Spanned<String>>,
    /// The body's type; `text/plain` unless it is said.
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    /// More header fields.
    #[serde(default)]
    pub(super) headers: BTreeMap<String, Spanned<String>>,
    /// The server must put itself into Record-Route.
    #[serde(default)]
    pub(super) record_routed: bool,
    /// The server must ask for credentials.
    #[serde(default)]
    pub(super) challenged: bool,
}

/// RFC 8866 6.7.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Direction {
    Sendrecv,
    Sendonly,
    Recvonly,
    Inactive,
}

impl Direction {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Direction::Sendrecv => "sendrecv",
            Direction::Sendonly => "sendonly",
            Direction::Recvonly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }
}
