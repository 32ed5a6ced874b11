//! Responses by the second, as an HdrHistogram interval log: one compressed histogram a line.
//!
//! Values are nanoseconds; the largest of each line stands beside it in milliseconds, as other tools write it.
//! Between their recording and the end of a run, intervals are kept in the compact form of the same format.

use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, IntervalLogWriterError};
use hdrhistogram::serialization::{
    DeserializeError, Deserializer, Serializer as _, V2DeflateSerializeError, V2DeflateSerializer,
    V2SerializeError, V2Serializer,
};

use super::timestamp::Timestamp;
use crate::load::recorder::Interval;

/// The most intervals of a run: those of its longest measured stretch and of the wait for answers.
pub const MOST_INTERVALS: usize = 90_000;

/// A log that cannot be made. The run's other files do not depend on it.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A histogram cannot be written down.
    #[error("an interval cannot be written down: {0}")]
    Compact(#[from] V2SerializeError),
    /// What was written down cannot be read.
    #[error("an interval cannot be read back: {0}")]
    Unreadable(#[from] DeserializeError),
    /// The log cannot be written.
    #[error("the interval log cannot be written: {0}")]
    Write(#[from] IntervalLogWriterError<V2DeflateSerializeError>),
    /// There are more intervals than any run has.
    #[error("more than {MOST_INTERVALS} intervals")]
    TooMany,
}

/// The intervals of a run, in the order in which they came.
#[derive(Default)]
pub struct IntervalLog {
    serializer: V2Serializer,
    intervals: Vec<Compact>,
}

/// A few bytes for each value that occurred.
struct Compact {
    start_ns: u64,
    end_ns: u64,
    bytes: Vec<u8>,
}

impl IntervalLog {
    /// Keeps an interval.
    ///
    /// # Errors
    /// [`LogError::Compact`], [`LogError::TooMany`].
    pub fn keep(&mut self, interval: &Interval) -> Result<(), LogError> {
        if self.intervals.len() >= MOST_INTERVALS {
            return Err(LogError::TooMany);
        }
        let mut bytes = Vec::new();
        self.serializer.serialize(&interval.response_ns, &mut bytes)?;
        bytes.shrink_to_fit();
        let Interval { start_ns, end_ns, .. } = *interval;
        self.intervals.push(Compact { start_ns, end_ns, bytes });
        Ok(())
    }

    /// The log of a run whose measured stretch began at a given time.
    ///
    /// # Errors
    /// [`LogError`]; there is no log then.
    pub fn text(&self, began: Timestamp) -> Result<Vec<u8>, LogError> {
        let mut text = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let began = began.system_time();
        let mut writer = IntervalLogWriterBuilder::new()
            .add_comment("[Histogram log format version 1.3]")
            .with_start_time(began)
            .with_base_time(began)
            .with_max_value_divisor(NS_A_MILLISECOND)
            .begin_log_with(&mut text, &mut serializer)
            .map_err(IntervalLogWriterError::IoError)?;
        let mut deserializer = Deserializer::new();
        for interval in &self.intervals {
            let histogram: Histogram<u64> = deserializer.deserialize(&mut &interval.bytes[..])?;
            let start = Duration::from_nanos(interval.start_ns);
            let length = Duration::from_nanos(interval.end_ns.saturating_sub(interval.start_ns));
            writer.write_histogram(&histogram, start, length, None)?;
        }
        Ok(text)
    }
}

const NS_A_MILLISECOND: f64 = 1e6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    fn interval(second: u64, values: &[u64]) -> Interval {
        let mut response_ns = latency::empty_histogram();
        values.iter().for_each(|value| response_ns.record(*value).expect("within the bounds"));
        let start_ns = second * 1_000_000_000;
        Interval { start_ns, end_ns: start_ns + 1_000_000_000, response_ns }
    }

    #[test]
    fn a_log_can_be_read_back_with_the_tools_of_its_format() {
        let written = [interval(0, &[500, 900, 123_456]), interval(1, &[]), interval(2, &[7])];
        let mut log = IntervalLog::default();
        written.iter().for_each(|interval| log.keep(interval).expect("it can be kept"));
        let text = log.text(Timestamp::now()).expect("it can be written");
        let mut read = Vec::new();
        for entry in IntervalLogIterator::new(&text) {
            if let LogEntry::Interval(line) = entry.expect("well-formed") {
                let bytes = line.encoded_histogram();
                let bytes = base64_decoded(bytes);
                let histogram: Histogram<u64> =
                    Deserializer::new().deserialize(&mut &bytes[..]).expect("a histogram");
                read.push((line.start_timestamp(), line.duration(), histogram));
            }
        }
        assert_eq!(read.len(), 3);
        for (line, interval) in read.iter().zip(&written) {
            assert_eq!(line.0, Duration::from_nanos(interval.start_ns));
            assert_eq!(line.1, Duration::from_secs(1));
            assert_eq!(line.2, interval.response_ns);
        }
        let text = String::from_utf8(text).expect("text");
        assert!(text.starts_with("#[Histogram log format version 1.3]\n#[StartTime: "), "{text}");
    }

    /// The reader of the format leaves this step to its user.
    fn base64_decoded(text: &str) -> Vec<u8> {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let (mut bytes, mut bits, mut held) = (Vec::new(), 0u32, 0);
        for digit in text.bytes().filter(|digit| *digit != b'=') {
            let value = DIGITS.iter().position(|known| *known == digit).expect("a digit");
            bits = bits << 6 | value as u32;
            held += 6;
            if held >= 8 {
                held -= 8;
                bytes.push((bits >> held) as u8);
            }
        }
        bytes
    }
}
