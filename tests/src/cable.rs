//! A TCP connection that can be cut as a cable is: both ends stay open, and nothing comes through any more.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// How long a thread looks away from whether the cable is cut.
const LOOK: Duration = Duration::from_millis(10);

const WHOLE: u8 = 0;
const CUT: u8 = 1;
const GONE: u8 = 2;

/// Takes connections and passes their bytes on to somebody else.
pub struct Cable {
    address: SocketAddr,
    state: Arc<AtomicU8>,
}

impl Cable {
    /// One to `far`; its near end is at [`Cable::address`].
    pub fn to(far: SocketAddr) -> Cable {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let state = Arc::new(AtomicU8::new(WHOLE));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                if shared.load(Ordering::Relaxed) == GONE {
                    return;
                }
                // whoever is not there is not there for who connects either
                let Ok(far) = TcpStream::connect(far) else {
                    continue;
                };
                let (Ok(back), Ok(forth)) = (far.try_clone(), near.try_clone()) else {
                    continue;
                };
                let (one, other) = (Arc::clone(&shared), Arc::clone(&shared));
                std::thread::spawn(move || pass(near, far, &one));
                std::thread::spawn(move || pass(back, forth, &other));
            }
        });
        Cable { address, state }
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on nothing passes, either way.
    pub fn cut(&self) {
        self.state.store(CUT, Ordering::Relaxed);
    }

    /// What waits and what follows passes again.
    pub fn mend(&self) {
        self.state.store(WHOLE, Ordering::Relaxed);
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.state.store(GONE, Ordering::Relaxed);
        // wakes the listener
        let _ = TcpStream::connect(self.address);
    }
}

/// Passes bytes on until one end closes.
fn pass(mut from: TcpStream, mut to: TcpStream, state: &AtomicU8) {
    let _ = to.set_nodelay(true);
    let _ = from.set_read_timeout(Some(LOOK));
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => 0,
            Err(_) => break,
        };
        while state.load(Ordering::Relaxed) == CUT {
            std::thread::sleep(LOOK);
        }
        if state.load(Ordering::Relaxed) == GONE || to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
