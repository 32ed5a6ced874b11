//! The trace of a simulation: what happened, a line each, the same bytes for the same seed.

use std::fmt::Write;

use crate::core::observe::Observation;

/// Bytes of trace that are kept; later lines are counted only.
const TRACE_LIMIT_BYTES: usize = 64 << 20;

/// See the module's header.
#[derive(Default)]
pub(super) struct Trace {
    text: String,
    lines_left_out: u64,
}

impl Trace {
    /// Adds a line.
    pub fn add(&mut self, node: usize, core: u16, now_ns: u64, seen: Observation<'_>) {
        if self.text.len() >= TRACE_LIMIT_BYTES {
            self.lines_left_out += 1;
            return;
        }
        let text = &mut self.text;
        // Writing to a string cannot fail.
        let _ = write!(text, "{now_ns} {node}/{core} ");
        let _ = match seen {
            Observation::Turn { me, actor, behavior, header } => {
                let (port, bytes) = (header.port(), header.len());
                writeln!(text, "turn {} {actor}::{behavior} port {port} bytes {bytes}", me as u32)
            }
            Observation::Signal { me, actor, signal } => {
                writeln!(text, "signal {} {actor} {signal:?}", me as u32)
            }
            Observation::Note { me, actor, note } => {
                writeln!(text, "note {} {actor} {note}", me as u32)
            }
            Observation::Failed { me, actor, failure } => {
                writeln!(text, "failed {} {actor} {failure:?}", me as u32)
            }
            Observation::DeadLetter { reason, to } => {
                writeln!(text, "dead letter {} to {to}", reason.name())
            }
        };
    }

    /// The lines, and how many were left out at the limit.
    pub fn text(&self) -> String {
        match self.lines_left_out {
            0 => self.text.clone(),
            more => format!("{}({more} lines left out)\n", self.text),
        }
    }
}
