//! The thread that writes log lines.
//!
//! Owns the file. The queue holds 8192 lines; when it is full a line is dropped and counted, and the count is written when there is room.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

const QUEUE: usize = 8192;

enum Job {
    Line(String),
    Reopen,
    Flush(SyncSender<()>),
}

/// The way to the thread.
pub(crate) struct Writer {
    queue: SyncSender<Job>,
    dropped: AtomicU64,
    /// Kept so that the thread's end, if it ever comes, is not missed by a flush.
    last: Mutex<()>,
}

impl Writer {
    pub(crate) fn stderr() -> Self {
        Self::start(None, Box::new(io::stderr()))
    }

    pub(crate) fn file(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        Ok(Self::start(Some(path.to_path_buf()), Box::new(file)))
    }

    fn start(path: Option<PathBuf>, out: Box<dyn Write + Send>) -> Self {
        let (queue, jobs) = sync_channel(QUEUE);
        // Without a thread the lines are dropped and counted: the log is no reason not to route calls.
        _ = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write(&jobs, path.as_deref(), out));
        Self {
            queue,
            dropped: AtomicU64::new(0),
            last: Mutex::new(()),
        }
    }

    /// Hands a line, with its end, to the thread. Never waits.
    pub(crate) fn line(&self, line: String) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > 0
            && self
                .queue
                .try_send(Job::Line(format!(
                    "{dropped} log lines were dropped: the log is too slow\n"
                )))
                .is_ok()
        {
            self.dropped.fetch_sub(dropped, Ordering::Relaxed);
        }
        if self.queue.try_send(Job::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn reopen(&self) {
        _ = self.queue.try_send(Job::Reopen);
    }

    /// Waits until all lines so far are written, two seconds at most.
    pub(crate) fn flush(&self) {
        let _one_at_a_time = self.last.lock();
        let (done, wait) = sync_channel(1);
        let mut job = Job::Flush(done);
        // The queue may be full just now.
        for _ in 0..100 {
            match self.queue.try_send(job) {
                Ok(()) => {
                    _ = wait.recv_timeout(Duration::from_secs(1));
                    return;
                }
                Err(TrySendError::Full(back)) => job = back,
                Err(TrySendError::Disconnected(_)) => return,
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn write(jobs: &Receiver<Job>, path: Option<&Path>, mut out: Box<dyn Write + Send>) {
    while let Ok(job) = jobs.recv() {
        match job {
            // A full disk must not stop the daemon; there is nowhere left to say so.
            Job::Line(line) => _ = out.write_all(line.as_bytes()),
            Job::Flush(done) => {
                _ = out.flush();
                _ = done.send(());
            }
            Job::Reopen => {
                let Some(path) = path else { continue };
                match open(path) {
                    Ok(file) => out = Box::new(file),
                    Err(error) => {
                        _ = writeln!(
                            out,
                            "can't open {} anew, going on with the old file: {error}",
                            path.display()
                        )
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_opened_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("log"), dir.path().join("log.1"));
        let writer = Writer::file(&path).unwrap();
        writer.line("before\n".to_owned());
        writer.flush();
        std::fs::rename(&path, &moved).unwrap();
        writer.reopen();
        writer.line("after\n".to_owned());
        writer.flush();
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "before\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after\n");
    }

    #[test]
    fn a_stuck_log_drops_and_counts_and_never_waits() {
        struct Stuck(Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (unstick, stuck) = sync_channel(0);
        let writer = Writer::start(None, Box::new(Stuck(stuck)));
        for _ in 0..QUEUE + 100 {
            writer.line("line\n".to_owned());
        }
        assert!(writer.dropped.load(Ordering::Relaxed) >= 99);
        drop(unstick);
        writer.flush();
        writer.line("room again\n".to_owned());
        writer.flush();
        assert_eq!(writer.dropped.load(Ordering::Relaxed), 0);
    }
}
