//! Where a test takes place: a loopback address of its own and a folder for its logs.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static NEXT: AtomicU32 = AtomicU32::new(0);
static ROOM: RwLock<()> = RwLock::new(());

/// An address of 127.0.0.0/8 and a folder that belong to one test.
pub struct Place {
    ip: Ipv4Addr,
    dir: PathBuf,
}

impl Place {
    /// A place that nobody is at.
    pub fn new() -> Place {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("test");
        // Sockets lie in it, whose paths may have 104 bytes in all.
        let test = test.rsplit("::").next().unwrap_or(test);
        let test = test.get(..20).unwrap_or(test);
        let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = target()
            .join("test-runs")
            .join(format!("{test}-{process}-{number}"));
        std::fs::create_dir_all(&dir).expect("a folder for the logs");
        // the process id tells tests apart that run at once, the counter those of one process
        for _ in 0..1000 {
            let number = std::process::id()
                .wrapping_mul(64)
                .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            let [_, a, b, c] = (number % (1 << 22)).to_be_bytes();
            if matches!(c, 0 | 255) {
                continue;
            }
            let ip = Ipv4Addr::new(127, 64 | a, b, c);
            if UdpSocket::bind((ip, 5060)).is_ok() {
                return Place { ip, dir };
            }
        }
        panic!("no free address in 127.0.0.0/8");
    }

    /// The address.
    pub fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// One of its ports.
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddrV4::new(self.ip, port).into()
    }

    /// A path for a Unix socket: short, because the kernel allows no long ones.
    pub fn socket(&self) -> PathBuf {
        std::env::temp_dir().join(format!("switchhook-{}.sock", self.ip))
    }

    /// Where logs go.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // it is there only if a daemon was killed
        let _ = std::fs::remove_file(self.socket());
    }
}

impl Default for Place {
    fn default() -> Place {
        Place::new()
    }
}

/// A test that measures time or load holds this: no other of the same process runs beside it. (Tests of other processes are kept
/// away by the nextest config.)
pub fn alone() -> RwLockWriteGuard<'static, ()> {
    ROOM.write()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What a test holds that may run beside others, but not beside one that is [`alone`].
pub fn beside() -> RwLockReadGuard<'static, ()> {
    ROOM.read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Cargo's target folder, found from where this test's program lies: target/release/deps/NAME.
pub(crate) fn target() -> PathBuf {
    let program = std::env::current_exe().expect("the test's own path");
    program
        .ancestors()
        .nth(3)
        .expect("target/release/deps")
        .to_owned()
}

/// The workspace's root.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
