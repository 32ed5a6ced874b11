//! What a person sees.

use std::fmt;
use std::time::Duration;

use crate::latency::{RoundTrip, a_second};
use crate::near::Stream;

/// Four measurements over one path.
#[derive(Debug, Clone)]
pub struct Report {
    pub path: String,
    pub payload_bytes: usize,
    pub message_bytes: usize,
    pub polls: bool,
    pub raw_round_trip: RoundTrip,
    pub raw_stream: (u64, Duration),
    pub round_trip: RoundTrip,
    pub stream: Stream,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.polls { "poll" } else { "sleep" };
        let (payload, message) = (self.payload_bytes, self.message_bytes);
        writeln!(f, "{}; both sides {how} when there is nothing to do", self.path)?;
        writeln!(f, "a payload of {payload} bytes, {message} bytes on the wire")?;
        writeln!(f)?;
        writeln!(f, "round trip, us           p50        p99       p999       count")?;
        line(f, "bare TCP", &self.raw_round_trip)?;
        line(f, "two actors", &self.round_trip)?;
        let ratio = self.round_trip.p50_ns as f64 / self.raw_round_trip.p50_ns.max(1) as f64;
        writeln!(f, "two actors / bare   {ratio:8.2} x")?;
        writeln!(f)?;
        let (bytes, took) = self.raw_stream;
        let raw = a_second(bytes, took) / 1e6;
        let messages = a_second(self.stream.messages, self.stream.took);
        let carried = messages * message as f64 / 1e6;
        writeln!(f, "stream            messages/s       MB/s")?;
        writeln!(f, "bare TCP, 64 KiB at a time   {raw:10.1}")?;
        writeln!(f, "two actors        {messages:10.0} {carried:10.1}")?;
        writeln!(f, "two actors / bare   {:8.2} x", carried / raw.max(1e-9))
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, trip: &RoundTrip) -> fmt::Result {
    let us = |ns: u64| ns as f64 / 1e3;
    let (p50, p99, p999) = (us(trip.p50_ns), us(trip.p99_ns), us(trip.p999_ns));
    writeln!(f, "{name:<16} {p50:10.1} {p99:10.1} {p999:10.1} {:11}", trip.count)
}
