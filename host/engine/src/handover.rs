//! Messages on their way from one lane to another, a batch at a time.
//!
//! A lane that has read a batch gives each other lane its part in one go, and wakes it only if it sleeps: to wake a lane is a system call here and
//! another wake-up there, which cost as much as half a message. Owns: what waits, and who is to be woken. Never does: choosing the lane.
//!
//! Limit: so many messages wait; beyond, they are the sender's to count, as if a socket had been full.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use switchhook_sip::flow::Source;
use switchhook_sip::message::Message;

/// A message and where it came from.
pub(crate) type Handed = (Arc<Message>, Source);

/// Where a lane finds what others read for it.
pub(crate) struct Inbox {
    limit: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiting: Vec<Handed>,
    /// The lane's, while it sleeps.
    asleep: Option<Waker>,
}

impl Inbox {
    /// An empty one for so many messages.
    pub(crate) fn new(limit: usize) -> Inbox {
        Inbox {
            limit,
            state: Mutex::default(),
        }
    }

    /// Puts messages in, as many as there is room for, and says how many there was none for. `messages` is empty then.
    pub(crate) fn put(&self, messages: &mut Vec<Handed>) -> usize {
        let (lost, asleep) = {
            let mut state = self.state();
            let fit = messages
                .len()
                .min(self.limit.saturating_sub(state.waiting.len()));
            let lost = messages.len() - fit;
            state.waiting.extend(messages.drain(..).take(fit));
            (lost, state.asleep.take())
        };
        if let Some(lane) = asleep {
            lane.wake();
        }
        lost
    }

    /// Takes all that waits; `messages` must be empty. The lane is awake.
    pub(crate) fn take(&self, messages: &mut Vec<Handed>) {
        let mut state = self.state();
        state.asleep = None;
        std::mem::swap(&mut state.waiting, messages);
    }

    /// Whether anything waits. If not, the lane goes to sleep and is woken when something comes.
    pub(crate) fn poll(&self, task: &mut Context<'_>) -> bool {
        let mut state = self.state();
        if state.waiting.is_empty() {
            state.asleep = Some(task.waker().clone());
        }
        !state.waiting.is_empty()
    }

    /// How full it is, in thousandths.
    pub(crate) fn fill(&self) -> u32 {
        let fill = self.state().waiting.len() * 1000 / self.limit.max(1);
        u32::try_from(fill).unwrap_or(u32::MAX)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use bytes::Bytes;
    use switchhook_sip::flow::{FlowId, Transport};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn messages(count: usize) -> Vec<Handed> {
        let text = b"OPTIONS sip:b SIP/2.0\r\n\r\n";
        let message = Message::parse(Bytes::from_static(text)).unwrap();
        let source = Source {
            transport: Transport::Udp,
            remote: ([192, 0, 2, 1], 5060).into(),
            local: ([192, 0, 2, 2], 5060).into(),
            flow: FlowId::NONE,
        };
        vec![(Arc::new(message), source); count]
    }

    #[test]
    fn a_lane_is_woken_once_and_only_if_it_sleeps() {
        let (inbox, count) = (Inbox::new(4), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let mut task = Context::from_waker(&waker);
        let woken = || count.0.load(Ordering::Relaxed);
        let mut taken = Vec::new();

        assert_eq!(inbox.put(&mut messages(1)), 0);
        assert!(inbox.poll(&mut task), "it need not sleep");
        inbox.take(&mut taken);
        assert_eq!((taken.len(), woken()), (1, 0));

        taken.clear();
        assert!(!inbox.poll(&mut task));
        assert_eq!(inbox.put(&mut messages(2)), 0);
        assert_eq!(inbox.put(&mut messages(1)), 0);
        assert_eq!(woken(), 1);
        assert_eq!(inbox.fill(), 750);

        inbox.take(&mut taken);
        taken.clear();
        assert!(!inbox.poll(&mut task));
        inbox.take(&mut taken);
        assert_eq!(inbox.put(&mut messages(1)), 0);
        assert_eq!(woken(), 1, "something else had woken it");
    }

    #[test]
    fn what_finds_no_room_is_told() {
        let inbox = Inbox::new(3);
        assert_eq!(inbox.put(&mut messages(2)), 0);
        let mut more = messages(3);
        assert_eq!((inbox.put(&mut more), more.len()), (2, 0));
        assert_eq!(inbox.fill(), 1000);
    }
}
