//! One copy of a request, aimed at one target. RFC 3261 16.6 steps 1 to 3, 6 and 7; 16.12.

use super::route::routes;
use crate::answer::Answer;
use crate::message::{EditError, Edits, HeaderId, Message, NameAddr, Uri, View};

/// The Max-Forwards of a request that came without (RFC 3261 16.6 step 3).
pub const DEFAULT_HOPS: u8 = 70;

/// Where a copy shall go.
#[derive(Debug, Clone, Copy, Default)]
pub struct Aim<'a> {
    /// The request URI, where it is another than the one it has.
    pub uri: Option<&'a [u8]>,
    /// The route set towards the target, first hop first, each as a Route value `<sip:...;lr>` (RFC 3327 5.4).
    pub path: &'a [&'a [u8]],
    /// A URI to send to whatever Route and request URI say; the message does not show it.
    pub next_hop: Option<&'a [u8]>,
    /// Max-Breadth: what [`super::Breadth::share`] gave this branch.
    pub breadth: Option<u32>,
}

/// Which URI says where the copy goes (16.6 step 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<'a> {
    /// [`Aim::next_hop`].
    Given(&'a [u8]),
    /// The first Route.
    Route,
    /// The request URI.
    RequestUri,
}

impl<'a> Next<'a> {
    /// The URI to resolve; 416 for one that names no SIP host.
    pub fn uri(self, copy: View<'a>) -> Result<Uri<'a>, Answer> {
        let bad = || Answer::because(400, "Malformed Route");
        let uri = match self {
            Self::Given(uri) => Uri::parse(uri)?,
            Self::RequestUri => Uri::parse(copy.request_uri())?,
            Self::Route => {
                let first = routes(copy).next().ok_or_else(bad)?;
                let first = NameAddr::parse(first).map_err(|_| bad())?;
                first.uri().map_err(|_| bad())?
            }
        };
        match uri.is_sip() {
            true => Ok(uri),
            false => Err(Answer::new(416)),
        }
    }
}

/// Writes one target into the edits of a copy. The answer is for who sent the request: 483 where it may go no further, 400
/// where its Route cannot be read.
///
/// The first Route of the result has `lr`, or it stands in the request URI as strict routers want it (16.6 step 6).
pub fn aim<'a>(request: &Message, edits: &mut Edits, aim: &Aim<'a>) -> Result<Next<'a>, Answer> {
    let refused = |error: EditError| match error {
        EditError::Malformed(malformed) => malformed.into(),
        _ => Answer::new(500),
    };
    if let Some(uri) = aim.uri {
        edits.set_request_uri(request, uri).map_err(refused)?;
    }
    let hops = match edits.view(request).max_forwards() {
        Some(hops) => hops?.checked_sub(1).ok_or_else(|| Answer::new(483))?,
        None => DEFAULT_HOPS,
    };
    edits.set_max_forwards(request, hops).map_err(refused)?;
    if let Some(breadth) = aim.breadth {
        let digits = breadth.to_string();
        edits
            .set_header(request, HeaderId::MaxBreadth, digits.as_bytes())
            .map_err(refused)?;
    }
    for hop in aim.path.iter().rev() {
        edits
            .prepend_value(request, HeaderId::Route, hop)
            .map_err(refused)?;
    }
    if let Some(next_hop) = aim.next_hop {
        return Ok(Next::Given(next_hop));
    }
    let Some(first) = routes(edits.view(request)).next() else {
        return Ok(Next::RequestUri);
    };
    let bad = |_| Answer::because(400, "Malformed Route");
    let first = NameAddr::parse(first).map_err(bad)?;
    if first.uri().map_err(bad)?.is_loose_route() {
        return Ok(Next::Route);
    }
    let strict = Box::<[u8]>::from(first.uri);
    suit_strict(request, edits, &strict).map_err(refused)?;
    Ok(Next::RequestUri)
}

/// The next hop routes strictly: it wants its own URI as the request URI, and ours behind all Routes.
fn suit_strict(request: &Message, edits: &mut Edits, strict: &[u8]) -> Result<(), EditError> {
    let view = edits.view(request);
    let target = [b"<", view.request_uri(), b">"].concat();
    let last = view.fields().filter(|f| f.id == HeaderId::Route).last();
    if let Some(last) = last.map(|field| field.position) {
        edits.insert_after(request, last, b"Route", &target)?;
    }
    edits.remove_first_value(request, HeaderId::Route)?;
    edits.set_request_uri(request, strict)
}
