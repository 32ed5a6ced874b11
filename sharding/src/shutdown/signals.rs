//! SIGTERM and SIGINT as the beginning of a shutdown: a thread reads what the handlers write into a pipe.
//!
//! What runs inside a handler is that write and two atomic stores. Nothing else is allowed there.

use std::ffi::c_int;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::{pipe, unregister};
use signal_hook::{SigId, flag};

use super::coordinated::Inner;
use super::report::Reason;

/// What the process does on the signals, until this is dropped.
pub(super) struct Signals {
    /// The handlers have the writing ends: when they are gone, the thread finds the end of the pipe.
    handlers: Vec<SigId>,
}

impl Signals {
    pub fn begin(shutdown: Weak<Inner>) -> io::Result<Signals> {
        let (mut signalled, handler_end) = UnixStream::pair()?;
        let last = Arc::new(AtomicUsize::new(0));
        let was_signalled = Arc::new(AtomicBool::new(false));
        let mut signals = Signals { handlers: Vec::new() };
        // In this order: the flag is down when the first signal asks for it.
        let again = flag::register_conditional_default(SIGINT, Arc::clone(&was_signalled))?;
        signals.handlers.push(again);
        for signal in [SIGTERM, SIGINT] {
            let handlers = &mut signals.handlers;
            handlers.push(flag::register(signal, Arc::clone(&was_signalled))?);
            handlers.push(flag::register_usize(signal, Arc::clone(&last), number_of(signal))?);
            handlers.push(pipe::register(signal, handler_end.try_clone()?)?);
        }
        let listen = move || {
            while hears_one(&mut signalled) {
                let is_term = last.load(Ordering::Acquire) == number_of(SIGTERM);
                let reason = if is_term { Reason::Terminated } else { Reason::Interrupted };
                let Some(shutdown) = shutdown.upgrade() else { return };
                if let Err(error) = shutdown.begin(reason) {
                    tracing::error!(%error, "a signal to end was not followed");
                }
            }
        };
        thread::Builder::new().name("shutdown: signals".to_owned()).spawn(listen)?;
        Ok(signals)
    }
}

/// Waits for a signal; false when no handler is left that could write.
fn hears_one(signalled: &mut UnixStream) -> bool {
    loop {
        match signalled.read(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read.is_ok_and(|bytes| bytes > 0),
        }
    }
}

fn number_of(signal: c_int) -> usize {
    usize::try_from(signal).unwrap_or(0)
}

impl Drop for Signals {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            unregister(handler);
        }
    }
}
