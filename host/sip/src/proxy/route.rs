//! What the Route of a request says to us, and taking that off. RFC 3261 16.4, 16.12; RFC 5658 (double Record-Route).

use super::own::Own;
use crate::message::{EditError, Edits, HeaderId, Message, NameAddr, Uri, View};

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Routed {
    /// No Route of ours.
    None,
    /// Our Route was taken off a request within a dialog.
    Loose,
    /// A strict router had put our Record-Route URI into the request URI: repaired.
    Strict,
    /// Our Route was taken off a request that has no To tag: we are its outbound proxy.
    Preloaded,
}

/// What [`preprocess`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it was.
    pub routed: Routed,
    /// The parameters of our own URI, `;lr;ftag=abc`, as [`super::stamp`] wrote them; of a double Record-Route those of the
    /// one that came first.
    pub params: Option<Box<[u8]>>,
}

impl Found {
    /// A parameter of our own URI; empty for one without a value.
    pub fn param(&self, name: &[u8]) -> Option<&[u8]> {
        let params = crate::message::Params::new(self.params.as_deref()?);
        Some(params.get(name)?.value.unwrap_or_default())
    }
}

/// Carries 16.4 out. Where a Route value cannot be read, it is left for the next hop to judge.
///
/// - The request URI is one that we wrote into a Record-Route (ours, `lr`, no user) and there are Route values: a strict
///   router sent this. The last Route becomes the request URI.
/// - The request URI has a `maddr` that is ours: `maddr`, port and transport are taken off.
/// - The first Route is ours: it is taken off. Where it is one of a double Record-Route (`r2`), so is its twin behind it.
pub fn preprocess(request: &Message, edits: &mut Edits, own: &Own) -> Result<Found, EditError> {
    let mut found = Found {
        routed: Routed::None,
        params: None,
    };
    repair_strict(request, edits, own, &mut found)?;
    strip_maddr(request, edits, own)?;
    if let Some(params) = remove_own(request, edits, own, false)? {
        if contains(&params, b"r2") {
            remove_own(request, edits, own, true)?;
        }
        if found.routed == Routed::None {
            let dialog = edits.view(request).to().is_ok_and(|to| to.tag().is_some());
            found.routed = match dialog {
                true => Routed::Loose,
                false => Routed::Preloaded,
            };
            found.params = Some(params);
        }
    }
    Ok(found)
}

fn repair_strict(
    request: &Message,
    edits: &mut Edits,
    own: &Own,
    found: &mut Found,
) -> Result<(), EditError> {
    let view = edits.view(request);
    let Some(last) = routes(view).last() else {
        return Ok(());
    };
    let Ok(uri) = Uri::parse(view.request_uri()) else {
        return Ok(());
    };
    if !uri.is_loose_route() || uri.user.is_some() || !own.is_own(&uri) {
        return Ok(());
    }
    let Ok(target) = NameAddr::parse(last) else {
        return Ok(());
    };
    let (target, params) = (Box::<[u8]>::from(target.uri), uri.params.as_bytes().into());
    edits.set_request_uri(request, &target)?;
    remove_last(request, edits)?;
    *found = Found {
        routed: Routed::Strict,
        params: Some(params),
    };
    Ok(())
}

fn strip_maddr(request: &Message, edits: &mut Edits, own: &Own) -> Result<(), EditError> {
    let uri = edits.view(request).request_uri();
    // Rare, and quickly seen to be absent.
    if !uri
        .windows(5)
        .any(|word| word.eq_ignore_ascii_case(b"maddr"))
    {
        return Ok(());
    }
    let Ok(uri) = Uri::parse(uri) else {
        return Ok(());
    };
    let maddr = uri.params.value(b"maddr");
    if !uri.is_sip() || !maddr.is_some_and(|maddr| own.is_own_host(&uri, maddr)) {
        return Ok(());
    }
    let mut plain = [uri.scheme.as_bytes(), b":"].concat();
    if let Some(user) = uri.user {
        plain.extend_from_slice(user);
        for part in uri.password.iter().flat_map(|password| [b":", *password]) {
            plain.extend_from_slice(part);
        }
        plain.push(b'@');
    }
    plain.extend_from_slice(uri.host);
    for param in uri.params {
        if [&b"maddr"[..], b"transport"]
            .iter()
            .any(|name| param.name.eq_ignore_ascii_case(name))
        {
            continue;
        }
        plain.push(b';');
        plain.extend_from_slice(param.name);
        for part in param.value.iter().flat_map(|value| [b"=", *value]) {
            plain.extend_from_slice(part);
        }
    }
    edits.set_request_uri(request, &plain)
}

/// Takes the first Route off if it is ours, and gives its URI's parameters. As the twin of another it must say so itself.
fn remove_own(
    request: &Message,
    edits: &mut Edits,
    own: &Own,
    twin: bool,
) -> Result<Option<Box<[u8]>>, EditError> {
    let first = routes(edits.view(request)).next();
    let Some(Ok(address)) = first.map(NameAddr::parse) else {
        return Ok(None);
    };
    let Ok(uri) = address.uri() else {
        return Ok(None);
    };
    if !own.is_own(&uri) || twin && uri.params.get(b"r2").is_none() {
        return Ok(None);
    }
    let params = uri.params.as_bytes().into();
    edits.remove_first_value(request, HeaderId::Route)?;
    Ok(Some(params))
}

fn contains(params: &[u8], name: &[u8]) -> bool {
    crate::message::Params::new(params).get(name).is_some()
}

pub(super) fn routes(view: View<'_>) -> impl Iterator<Item = &[u8]> {
    view.values(HeaderId::Route).filter(|v| !v.is_empty())
}

/// Takes the last Route off, with its field if it is alone there.
fn remove_last(request: &Message, edits: &mut Edits) -> Result<(), EditError> {
    let view = edits.view(request);
    let is_route = |field: &crate::message::Field<'_>| {
        field.id == HeaderId::Route && field.values().any(|v| !v.is_empty())
    };
    let Some(field) = view.fields().filter(is_route).last() else {
        return Ok(());
    };
    let mut values: Vec<_> = field.values().filter(|v| !v.is_empty()).collect();
    values.pop();
    let position = field.position;
    if values.is_empty() {
        return edits.remove_field(request, position);
    }
    let left = values.join(&b", "[..]);
    edits.replace_value(request, position, &left)
}
