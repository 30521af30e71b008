//! Who talks with whom, as far as the steps have come: Call-IDs, CSeq numbers, and the INVITE that waits for its ACK.

use super::program::Party;

/// CSeq numbers between two requests of a phone: room for attempts with other credentials.
const ATTEMPTS: u32 = 10;

/// A conversation of two parties: one Call-ID.
pub(super) struct Dialog {
    pub(super) index: usize,
    pub(super) parties: [Party; 2],
    /// An INVITE was sent in it; the first of the parties sent it.
    pub(super) begun: bool,
    /// The last CSeq number of each party.
    cseq: [u32; 2],
    /// The INVITE that was answered last, for the ACK.
    pub(super) invite: Option<usize>,
}

/// Conversations that go on; a BYE or a refused INVITE ends one.
#[derive(Default)]
pub(super) struct Dialogs {
    list: Vec<Dialog>,
    /// How many there were so far.
    pub(super) opened: usize,
}

impl Dialogs {
    /// With whom this phone talked last.
    pub(super) fn peer(&self, phone: usize) -> Option<Party> {
        let mine = Party::Phone(phone);
        let dialog = self
            .list
            .iter()
            .rfind(|dialog| dialog.parties.contains(&mine))?;
        dialog.parties.into_iter().find(|party| *party != mine)
    }

    /// The conversation between two, begun where there is none.
    #[expect(clippy::indexing_slicing, reason = "a position found, or the last one")]
    pub(super) fn between(&mut self, from: Party, to: Party) -> &mut Dialog {
        let of = |dialog: &Dialog| dialog.parties.contains(&from) && dialog.parties.contains(&to);
        let position = self.list.iter().position(of).unwrap_or_else(|| {
            self.list.push(Dialog {
                index: self.opened,
                parties: [from, to],
                begun: false,
                cseq: [0; 2],
                invite: None,
            });
            self.opened += 1;
            self.list.len() - 1
        });
        &mut self.list[position]
    }

    /// The conversation with this index, if it goes on.
    pub(super) fn with_index(&mut self, index: usize) -> Option<&mut Dialog> {
        self.list.iter_mut().find(|dialog| dialog.index == index)
    }

    /// It is over: the next request between the two begins another one.
    pub(super) fn end(&mut self, index: usize) {
        self.list.retain(|dialog| dialog.index != index);
    }
}

impl Dialog {
    /// Whether this phone sent the first request.
    pub(super) fn is_begun_by(&self, phone: usize) -> bool {
        self.parties.first() == Some(&Party::Phone(phone))
    }

    /// The number of this phone's next request.
    pub(super) fn next_cseq(&mut self, phone: usize) -> u32 {
        let begun = self.is_begun_by(phone);
        let [first, second] = &mut self.cseq;
        let last = if begun { first } else { second };
        *last += if *last == 0 { 1 } else { ATTEMPTS };
        *last
    }
}
