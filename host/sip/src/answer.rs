//! An answer that was decided on but not yet written: status, reason and what it must carry. RFC 3261 8.2.6.

use std::borrow::Cow;

use crate::message::{EditError, ResponseBuilder, View, reason_phrase, response};

/// A refusal, or a registrar's 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// 200 to 699.
    pub status: u16,
    /// The reason phrase.
    pub reason: Cow<'static, str>,
    /// Header fields beyond those that every response copies.
    pub headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// With the standard phrase and no further header.
    pub fn new(status: u16) -> Self {
        Self {
            status,
            reason: Cow::Borrowed(reason_phrase(status)),
            headers: Vec::new(),
        }
    }

    /// With a reason of its own: RFC 3261 21.4.1 asks that a 400 names the problem.
    pub fn because(status: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            reason: reason.into(),
            ..Self::new(status)
        }
    }

    /// With one more header field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Begins the response to a request; see [`response`].
    pub fn build(
        &self,
        request: View<'_>,
        to_tag: Option<&str>,
    ) -> Result<ResponseBuilder, EditError> {
        let builder = response(request, self.status, &self.reason, to_tag);
        self.headers.iter().try_fold(builder, |builder, field| {
            builder.header(field.0.as_bytes(), field.1.as_bytes())
        })
    }
}

impl From<crate::message::Malformed> for Answer {
    fn from(malformed: crate::message::Malformed) -> Self {
        Self::because(malformed.status(), malformed.reason().to_string())
    }
}
