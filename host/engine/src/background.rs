//! The thread for guests that compute for long: one for all lanes, of low priority, so that such guests share what the lanes
//! leave over.
//!
//! Bounded: a lane may have so many guests here that each answer has its place in the lane's channel; one more is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use switchhook_script::{Finished, Running};
use tokio::sync::mpsc;

/// A guest that has ended, for the lane it came from.
pub(crate) struct Back {
    pub(crate) ticket: u64,
    pub(crate) finished: Finished,
}

/// The bound is reached.
pub(crate) struct TooMany;

struct Moved {
    lane: usize,
    ticket: u64,
    running: Running,
}

/// A lane's way to the background thread.
#[derive(Clone)]
pub(crate) struct Background {
    moved: mpsc::Sender<Moved>,
    count: Arc<AtomicUsize>,
    limit: usize,
}

impl Background {
    /// Starts the thread; it ends when no lane has a `Background` any more.
    pub(crate) fn start(
        limit: usize,
        lanes: Vec<mpsc::Sender<Back>>,
    ) -> std::io::Result<(Background, JoinHandle<()>)> {
        let (moved, mut guests) = mpsc::channel::<Moved>(limit.max(1));
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("switchhook-bg".into())
            .spawn(move || {
                switchhook_net::lower_priority();
                runtime.block_on(async {
                    while let Some(Moved {
                        lane,
                        ticket,
                        running,
                    }) = guests.recv().await
                    {
                        let lane = lanes.get(lane).cloned();
                        let counted = Arc::clone(&counted);
                        tokio::spawn(async move {
                            let finished = running.await;
                            if let Some(lane) = lane {
                                // A lane that is gone has no use for it.
                                let _ = lane.send(Back { ticket, finished }).await;
                            }
                            counted.fetch_sub(1, Ordering::Relaxed);
                        });
                    }
                });
            })?;
        let background = Background {
            moved,
            count,
            limit,
        };
        Ok((background, thread))
    }

    /// Takes a guest over; where there are too many, it is dropped, and its instance with it.
    pub(crate) fn take(&self, lane: usize, ticket: u64, running: Running) -> Result<(), TooMany> {
        if self.count.fetch_add(1, Ordering::Relaxed) >= self.limit {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(TooMany);
        }
        let moved = Moved {
            lane,
            ticket,
            running,
        };
        self.moved.try_send(moved).map_err(|_| {
            self.count.fetch_sub(1, Ordering::Relaxed);
            TooMany
        })
    }
}
