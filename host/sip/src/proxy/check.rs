//! Whether a request may be routed: RFC 3261 16.3 in its order. The answers are for any request but an ACK, which gets none.

use super::loops::LoopKey;
use super::own::Own;
use crate::answer::Answer;
use crate::message::{HeaderId, Message, Method, Scheme};

/// Checks a request as it came.
///
/// 1. Syntax of all that a proxy reads ([`Message::check`]): 400, 505, ...
/// 2. The request URI's scheme is `sip`, `sips` or `tel`: 416.
/// 3. Max-Forwards is not 0: 483. OPTIONS and REGISTER pass, as we may be who answers them; [`super::aim`] refuses to send
///    them on.
/// 4. The request is not in a loop (RFC 5393 section 4): 482.
/// 5. Proxy-Require names nothing we do not know; we know no extension: 420 with Unsupported.
///
/// Step 6, authorization, is the script's to ask for.
pub fn check(request: &Message, own: &Own, loops: &LoopKey) -> Result<(), Answer> {
    request.check()?;
    check_read(request, own, loops)
}

/// As [`check`] without step 1, for a request that passed [`Message::check`] when it came.
pub fn check_read(request: &Message, own: &Own, loops: &LoopKey) -> Result<(), Answer> {
    let scheme = request.request_uri().split(|b| *b == b':').next();
    if let Scheme::Other(_) = Scheme::of(scheme.unwrap_or_default()) {
        return Err(Answer::new(416));
    }
    let last_hop = matches!(request.max_forwards(), Some(Ok(0)));
    if last_hop && !matches!(request.method(), Method::Options | Method::Register) {
        return Err(Answer::new(483));
    }
    if loops.has_looped(request, own) {
        return Err(Answer::new(482));
    }
    let unknown: Vec<_> = request
        .values(HeaderId::ProxyRequire)
        .filter(|tag| !tag.is_empty())
        .map(String::from_utf8_lossy)
        .collect();
    if !unknown.is_empty() {
        return Err(Answer::new(420).with("Unsupported", unknown.join(", ")));
    }
    Ok(())
}
