//! The bus's thread: waits for inputs and deadlines, and does what comes of them.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use switchhook_dmq::{Bus, Event, Output};
use tokio::sync::mpsc;

use super::mailbox::{Input, now};
use super::post::Post;
use super::teller::Teller;
use super::{DmqConfig, Seat, Tables};
use crate::lane::Mail;

/// Inputs worked off before datagrams are sent.
const BATCH: usize = 64;
/// How long the thread sleeps at most.
const NAP: Duration = Duration::from_millis(500);
/// How long goodbyes are waited for.
const GOODBYE: Duration = Duration::from_millis(500);

/// What the thread is made of, beside its config.
pub(crate) struct Parts {
    pub(crate) sockets: Vec<(SocketAddr, UdpSocket)>,
    pub(crate) lane: mpsc::Sender<Mail>,
    /// What scripts are told goes here.
    pub(crate) teller: Teller,
}

struct Worker {
    bus: Bus,
    tables: std::sync::Arc<Tables>,
    seat: Seat,
    post: Post,
    teller: Teller,
    /// When to end, once told to.
    end: Option<Instant>,
}

/// Starts the thread. It ends when it is told to, or when nobody can tell it anything any more.
pub(crate) fn start(config: DmqConfig, parts: Parts) -> std::io::Result<JoinHandle<()>> {
    let DmqConfig {
        bus, tables, seat, ..
    } = config;
    let worker = Worker {
        bus: Bus::new(now(), bus),
        tables,
        seat,
        post: Post {
            sockets: parts.sockets,
            lane: parts.lane,
        },
        teller: parts.teller,
        end: None,
    };
    let thread = std::thread::Builder::new().name("switchhook-dmq".to_owned());
    thread.spawn(move || worker.run())
}

impl Worker {
    fn run(mut self) {
        loop {
            let at = Instant::now();
            let due = [Some(at + NAP), self.bus.deadline(), self.end];
            let due = due.into_iter().flatten().min().unwrap_or(at);
            match self
                .seat
                .inputs
                .recv_timeout(due.saturating_duration_since(at))
            {
                Ok(input) => self.take(input),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            for _ in 0..BATCH {
                match self.seat.inputs.try_recv() {
                    Ok(input) => self.take(input),
                    Err(_) => break,
                }
            }
            let now = now();
            if self.seat.lost.swap(false, Ordering::AcqRel) {
                tracing::warn!(
                    "more changes than the bus could tell one by one: members are told everything"
                );
                self.bus.resync(now);
            }
            self.bus.on_timer(now, &mut &*self.tables);
            self.send();
            self.seat.show(&self.bus);
            if self.end.is_some_and(|end| end <= Instant::now()) {
                return;
            }
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Message(message, source) => {
                self.bus
                    .receive(now(), &source, &message, &mut &*self.tables);
            }
            Input::Change(then, change) => self.bus.change(then, &change),
            Input::Do(act) => act(&mut self.bus, now()),
            Input::Stop => {
                let now = now();
                self.bus.shutdown(now);
                self.end = Some(now.at + GOODBYE);
            }
        }
        self.send();
    }

    fn send(&mut self) {
        while let Some(output) = self.bus.poll() {
            match output {
                Output::Send { destination, bytes } => self.post.send(destination, bytes),
                Output::Event(event) => {
                    // A script that is told of a member finds it.
                    self.seat.show(&self.bus);
                    note(&event);
                    if let Some((ticket, reply)) = self.teller.tell(event) {
                        self.bus.answer(ticket, &reply);
                    }
                }
            }
        }
        // Everybody has taken note: no need to wait.
        if self.end.is_some() && self.bus.is_quiet() {
            self.end = Some(Instant::now());
        }
    }
}

fn note(event: &Event) {
    match event {
        Event::Up(node) => tracing::info!(%node, "bus member up"),
        Event::Disabled(node) => tracing::warn!(%node, "bus member disabled"),
        Event::Down(node) => tracing::warn!(%node, "bus member removed"),
        Event::OtherEntries(node) => tracing::error!(
            %node,
            "dialogs of a bus member are refused: its hash_size is not our dialog.entries"
        ),
        Event::Message { .. } | Event::Answered { .. } => {}
    }
}
