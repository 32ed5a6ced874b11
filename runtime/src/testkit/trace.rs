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
    /// With the node whose life it is.
    incarnations: Vec<(usize, String)>,
}

impl Trace {
    /// Addresses of this node are written with its number in place of its incarnation, which no two runs share.
    pub fn know_node(&mut self, node: usize, incarnation: u32) {
        self.incarnations.push((node, format!("{incarnation:08x}/")));
    }

    /// Adds what was seen, a line for each thing.
    pub fn add(&mut self, node: usize, core: u16, now_ns: u64, seen: Observation<'_>) {
        let mut line = |what: std::fmt::Arguments<'_>| {
            self.add_line(format_args!("{now_ns} {node}/{core} {what}"));
        };
        match seen {
            Observation::Turn { me, actor, behavior, header } => {
                let (me, port, bytes) = (me as u32, header.port(), header.len());
                line(format_args!("turn {me} {actor}::{behavior} port {port} bytes {bytes}"));
            }
            Observation::Signal { me, actor, signal } => {
                line(format_args!("signal {} {actor} {signal:?}", me as u32));
            }
            Observation::Note { me, actor, note } => {
                line(format_args!("note {} {actor} {note}", me as u32));
            }
            Observation::Did(did) => {
                let me = did.me as u32;
                did.sent.iter().for_each(|sent| line(format_args!("did {me} sent {sent:?}")));
                did.sent_elsewhere
                    .iter()
                    .for_each(|to| line(format_args!("did {me} sent to {to}")));
                did.effects.iter().for_each(|effect| line(format_args!("did {me} {effect:?}")));
            }
            Observation::Ended { me, actor, outcome } => {
                line(format_args!("ended {} {actor} {outcome:?}", me as u32));
            }
            Observation::Failed { me, actor, failure } => {
                line(format_args!("failed {} {actor} {failure:?}", me as u32));
            }
            Observation::DeadLetter { reason, to } => {
                line(format_args!("dead letter {} to {to}", reason.name()));
            }
        }
    }

    fn add_line(&mut self, line: std::fmt::Arguments<'_>) {
        if self.text.len() >= TRACE_LIMIT_BYTES {
            self.lines_left_out += 1;
            return;
        }
        let begin = self.text.len();
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "{line}");
        for (node, incarnation) in &self.incarnations {
            while let Some(at) = self.text[begin..].find(incarnation.as_str()) {
                let at = begin + at;
                self.text.replace_range(at..at + incarnation.len(), &format!("node-{node}/"));
            }
        }
    }

    /// The lines, and how many were left out at the limit.
    pub fn text(&self) -> String {
        match self.lines_left_out {
            0 => self.text.clone(),
            more => format!("{}({more} lines left out)\n", self.text),
        }
    }
}
