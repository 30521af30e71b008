//! Max-Breadth: how many branches a request may have at once, over all proxies together. RFC 5393 section 5.

use crate::answer::Answer;
use crate::message::{HeaderId, View};

/// What a request without Max-Breadth has (RFC 5393 5.3.3.1).
pub const DEFAULT_BREADTH: u32 = 60;

/// What a request may be spread over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breadth {
    total: u32,
    /// The request said so.
    given: bool,
}

impl Breadth {
    /// Reads the header.
    pub fn of(request: View<'_>) -> Result<Self, Answer> {
        match request.number(HeaderId::MaxBreadth, u32::MAX) {
            Some(total) => Ok(Self {
                total: total?,
                given: true,
            }),
            None => Ok(Self {
                total: DEFAULT_BREADTH,
                given: false,
            }),
        }
    }

    /// Shares it out over branches that are tried at the same time; those tried after all of them have ended get the whole
    /// again. 440 where there is not one for each: the caller may also try some after others.
    ///
    /// A request to a single place that came without the header goes on without it (`None`).
    ///
    /// ```
    /// use switchhook_sip::{message::Message, proxy::Breadth};
    /// let invite = Message::parse("INVITE sip:b@x SIP/2.0\r\nMax-Breadth: 7\r\n\r\n".into())?;
    /// let breadth = Breadth::of(invite.view()).unwrap();
    /// let shares: Vec<_> = breadth.share(3).unwrap().collect();
    /// assert_eq!(shares, [Some(3), Some(2), Some(2)]);
    /// assert_eq!(breadth.share(8).unwrap_err().status, 440);
    /// # Ok::<(), switchhook_sip::message::Malformed>(())
    /// ```
    pub fn share(self, branches: usize) -> Result<Shares, Answer> {
        let branches = u32::try_from(branches).unwrap_or(u32::MAX);
        if branches > self.total || self.total == 0 {
            return Err(Answer::because(440, "Max-Breadth Exceeded"));
        }
        Ok(Shares {
            left: self.total,
            branches,
            written: self.given || branches > 1,
        })
    }
}

/// The value for each branch.
#[derive(Debug, Clone)]
pub struct Shares {
    left: u32,
    branches: u32,
    written: bool,
}

impl Iterator for Shares {
    type Item = Option<u32>;

    fn next(&mut self) -> Option<Option<u32>> {
        let share = self.left.checked_sub(1)?.checked_div(self.branches)? + 1;
        // Rounded up, so that the first get what is left over.
        self.left -= share;
        self.branches -= 1;
        Some(self.written.then_some(share))
    }
}
