//! The clock of guests: one thread for all engines, which moves their epochs on every [`TICK`].
//!
//! It holds engines weakly and ends when none is left; the next engine starts another.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use wasmtime::{Engine, EngineWeak};

/// A guest that runs is looked at this often.
pub const TICK: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Ticker {
    engines: Vec<EngineWeak>,
    running: bool,
}

static TICKER: Mutex<Ticker> = Mutex::new(Ticker {
    engines: Vec::new(),
    running: false,
});

/// Has this engine's epoch moved on as long as it lives.
pub(crate) fn watch(engine: &Engine) -> std::io::Result<()> {
    let mut ticker = TICKER.lock().unwrap_or_else(PoisonError::into_inner);
    ticker.engines.push(engine.weak());
    if !ticker.running {
        std::thread::Builder::new()
            .name("guest-ticker".into())
            .spawn(tick)?;
        ticker.running = true;
    }
    Ok(())
}

fn tick() {
    loop {
        std::thread::sleep(TICK);
        let mut ticker = TICKER.lock().unwrap_or_else(PoisonError::into_inner);
        ticker.engines.retain(|engine| match engine.upgrade() {
            Some(engine) => {
                engine.increment_epoch();
                true
            }
            None => false,
        });
        if ticker.engines.is_empty() {
            ticker.running = false;
            return;
        }
    }
}
