//! Answers made here: rendered with To tag, received / rport and the configured Server field (RFC 3261 8.2.6).

use std::time::Instant;

use bytes::Bytes;
use switchhook_script::Answer;
use switchhook_sip::flow::Source;
use switchhook_sip::message::{EditError, Message, ResponseBuilder, reason_phrase};
use switchhook_sip::proxy::marks;
use switchhook_sip::transaction::answer::reply_to;
use switchhook_sip::transaction::{Key, Tag};

use crate::lane::Lane;

impl Lane {
    /// Answers without a transaction (RFC 3261 8.2.7).
    pub(crate) fn respond_without(
        &mut self,
        request: &Message,
        source: &Source,
        answer: &Answer,
        force_rport: bool,
    ) {
        // What has no Via to answer by never comes this far.
        let Ok(tag) = self.tm.to_tag(request) else {
            return;
        };
        let bytes = self.render_answer(request, source, answer, tag, force_rport);
        let mut destination = reply_to(request, source);
        if force_rport {
            destination.remote = source.remote;
        }
        if let Some(bytes) = bytes {
            self.send(destination, bytes);
        }
    }

    /// The bytes of an answer. `None` for a request that can't be answered at all.
    fn render_answer(
        &mut self,
        request: &Message,
        source: &Source,
        answer: &Answer,
        tag: Tag,
        force_rport: bool,
    ) -> Option<Bytes> {
        match self.build(request, source, answer, tag.as_str(), force_rport) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                // The script's checks keep this from happening; the caller still gets an answer.
                tracing::error!(%error, status = answer.status, "an answer could not be written");
                let bare = Answer {
                    status: 500,
                    reason: Default::default(),
                    headers: Vec::new(),
                    body: None,
                };
                self.build(request, source, &bare, tag.as_str(), force_rport)
                    .ok()
            }
        }
    }

    /// Answers through a transaction. That it has its final answer already is no fault: a CANCEL may have come first.
    pub(crate) fn respond_in(
        &mut self,
        now: Instant,
        key: Key,
        request: &Message,
        source: &Source,
        answer: &Answer,
    ) {
        let tag = self.tm.tag(key);
        let bytes = tag.and_then(|tag| self.render_answer(request, source, answer, tag, false));
        let Some(bytes) = bytes else {
            return;
        };
        if let Err(refusal) = self.tm.respond(now, key, answer.status, bytes) {
            tracing::debug!(status = answer.status, %refusal, "an answer came too late");
        }
    }

    fn build(
        &mut self,
        request: &Message,
        source: &Source,
        answer: &Answer,
        tag: &str,
        force_rport: bool,
    ) -> Result<Bytes, EditError> {
        let marks = marks(request.view(), source, force_rport)?;
        let reason = if answer.reason.is_empty() {
            reason_phrase(answer.status)
        } else {
            &answer.reason
        };
        let out = std::mem::take(&mut self.scratch);
        let mut reply =
            ResponseBuilder::new(out, request.view(), marks, answer.status, reason, Some(tag));
        for field in &answer.headers {
            reply = reply.header(field.name.as_bytes(), field.value.as_bytes())?;
        }
        if !self.server.is_empty() {
            reply = reply.header(b"Server", self.server.as_bytes())?;
        }
        if let Some(body) = &answer.body {
            reply = reply.body(body.content_type.as_bytes(), &body.content)?;
        }
        self.scratch = reply.finish_vec();
        Ok(Bytes::copy_from_slice(&self.scratch))
    }
}
