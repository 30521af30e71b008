//! The current reply, and the answers that a script gives itself.

use crate::error::{Error, Outcome, Result};
use crate::host::types::{Body, Edit, Endpoint, Header};
use crate::host::{reply, tm};
use crate::message::{Message, OfReply, body, field, message_functions};
use crate::nameaddr::NameAddr;
use crate::request::Request;

/// The current reply. In a failure route it is the best one; where none came it is the 408 or 503 that the host would send.
pub struct Reply {
    pub(crate) message: Message<OfReply>,
}

message_functions!(Reply);

impl Reply {
    pub(crate) fn current() -> Reply {
        Reply {
            message: Message::new(),
        }
    }

    /// The status, 100 to 699; `$rs`.
    pub fn status(&self) -> u16 {
        let status = self.message.start_line().split(' ').nth(1);
        status.and_then(|s| s.parse().ok()).unwrap_or_default()
    }

    /// The reason phrase; `$rr`.
    pub fn reason(&self) -> &str {
        self.message
            .start_line()
            .splitn(3, ' ')
            .nth(2)
            .unwrap_or_default()
    }

    /// Replaces status and reason phrase; the class (1xx, 2xx, ...) must stay.
    pub fn set_status(&mut self, status: u16, reason: &str) -> Result<()> {
        self.message.flush()?;
        reply::set_status(status, reason).map_err(Error::host)?;
        self.message.touched_start_line();
        Ok(())
    }

    /// In a failure route: whether the winning branch ended by a timer, not by a reply; `t_branch_timeout`.
    pub fn timed_out(&self) -> bool {
        tm::timed_out()
    }

    /// In an onreply route: the number of the branch, from 0.
    pub fn branch(&self) -> Option<u32> {
        tm::branch()
    }
}

/// An answer being put together; see [`Request::answer`].
#[must_use = "nothing is answered until send() is called"]
pub struct Answer<'a> {
    request: &'a mut Request,
    pub(crate) status: u16,
    pub(crate) reason: &'a str,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Option<Body>,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(request: &'a mut Request, status: u16, reason: &'a str) -> Answer<'a> {
        Answer {
            request,
            status,
            reason,
            headers: Vec::new(),
            body: None,
        }
    }

    /// With a header field.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push(field(name, value));
        self
    }

    /// With a body.
    pub fn body(mut self, content_type: &str, content: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body(content_type, content.into()));
        self
    }

    /// Answers the request so.
    pub fn send(self) -> Outcome {
        let Answer {
            request,
            status,
            reason,
            headers,
            body,
        } = self;
        request.send_answer(status, reason, &headers, body.as_ref())
    }
}
