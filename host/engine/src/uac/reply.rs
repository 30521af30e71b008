//! Replies as scripts get them: that of a peer, or one made here where none comes.

use switchhook_script::uac::{Header, Reply, ReplyBody};
use switchhook_sip::message::{HeaderId, Message, reason_phrase};

/// A peer's reply.
pub(super) fn of(message: &Message) -> Reply {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = message.fields().map(|field| Header {
        name: match field.id {
            HeaderId::Other => text(field.name),
            id => id.name().to_owned(),
        },
        value: text(field.value),
    });
    let body = message.body();
    Reply {
        status: message.status(),
        reason: text(message.reason()),
        headers: headers.collect(),
        body: (!body.is_empty()).then(|| ReplyBody {
            content_type: message
                .header(HeaderId::ContentType)
                .map(text)
                .unwrap_or_default(),
            content: body.to_vec(),
        }),
        made_here: false,
    }
}

/// The reply that stands for silence or an unreachable peer.
pub(super) fn made(status: u16) -> Reply {
    Reply {
        status,
        reason: reason_phrase(status).to_owned(),
        headers: Vec::new(),
        body: None,
        made_here: true,
    }
}
