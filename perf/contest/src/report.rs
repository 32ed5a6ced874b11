//! The line by which a contestant reports a round: `messages=80000 elapsed_ns=912345 sum=40000`.
//!
//! It is the last line of its output that starts with `messages=`. Text, so that a contestant in any language can
//! print it. Keys that are not known are refused: they would be a sign of a contestant that is newer than the
//! harness.

use std::fmt;
use std::str::FromStr;

/// What a contestant did in one round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundReport {
    /// Messages of the measured section.
    pub messages: u64,
    /// How long the measured section took.
    pub elapsed_ns: u64,
    /// What the work came to.
    pub sum: u64,
    /// Heap allocations of all threads in the section, in a round that was run to count them.
    pub allocations: Option<u64>,
}

/// A line that is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// No line of the output starts with `messages=`.
    #[error("the output has no line \"messages=.. elapsed_ns=.. sum=..\"")]
    Missing,
    /// A word of the line is not `key=number` with a known key, each once.
    #[error("\"{0}\" in the report is no known key with a number")]
    Word(String),
    /// A key is missing.
    #[error("the report has no \"{0}\"")]
    Key(&'static str),
}

impl RoundReport {
    /// The report in a contestant's whole output.
    pub fn in_output(output: &str) -> Result<RoundReport, ReportError> {
        let is_report = |line: &&str| line.starts_with("messages=");
        output.lines().rev().find(is_report).ok_or(ReportError::Missing)?.parse()
    }
}

impl fmt::Display for RoundReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RoundReport { messages, elapsed_ns, sum, allocations } = self;
        write!(f, "messages={messages} elapsed_ns={elapsed_ns} sum={sum}")?;
        allocations.map_or(Ok(()), |count| write!(f, " allocations={count}"))
    }
}

impl FromStr for RoundReport {
    type Err = ReportError;

    fn from_str(line: &str) -> Result<Self, ReportError> {
        let mut values = [None; KEYS.len()];
        for word in line.split_ascii_whitespace() {
            let wrong = || ReportError::Word(word.to_owned());
            let (key, value) = word.split_once('=').ok_or_else(wrong)?;
            let place = KEYS.iter().position(|known| *known == key).ok_or_else(wrong)?;
            let value: u64 = value.parse().map_err(|_| wrong())?;
            if values[place].replace(value).is_some() {
                return Err(wrong());
            }
        }
        let needed = |place: usize| values[place].ok_or(ReportError::Key(KEYS[place]));
        Ok(RoundReport {
            messages: needed(0)?,
            elapsed_ns: needed(1)?,
            sum: needed(2)?,
            allocations: values[3],
        })
    }
}

const KEYS: [&str; 4] = ["messages", "elapsed_ns", "sum", "allocations"];

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: RoundReport =
        RoundReport { messages: 8, elapsed_ns: 9, sum: 10, allocations: None };

    #[test]
    fn what_is_printed_is_read_again() {
        assert_eq!(REPORT.to_string().parse(), Ok(REPORT));
        let counted = RoundReport { allocations: Some(3), ..REPORT };
        assert_eq!(counted.to_string().parse(), Ok(counted));
    }

    #[test]
    fn a_report_is_found_among_other_output() {
        let output = "warming up\nmessages=8 elapsed_ns=9 sum=10\nbye\n";
        assert_eq!(RoundReport::in_output(output), Ok(REPORT));
        assert_eq!(RoundReport::in_output("bye\n"), Err(ReportError::Missing));
    }

    #[test]
    fn what_is_no_report_is_refused_with_the_word_that_is_wrong() {
        for (line, word) in [
            ("messages=8 elapsed_ns=x sum=1", "elapsed_ns=x"),
            ("messages=8 messages=8", "messages=8"),
            ("messages=8 colour=1", "colour=1"),
            ("messages=8 sum", "sum"),
        ] {
            assert_eq!(line.parse::<RoundReport>(), Err(ReportError::Word(word.into())), "{line}");
        }
        let short = "messages=8 elapsed_ns=9".parse::<RoundReport>();
        assert_eq!(short, Err(ReportError::Key("sum")));
    }
}
