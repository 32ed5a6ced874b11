//! Where a query stands in the logs it reads.

use std::fmt;
use std::str::FromStr;

/// A place in each log of a journal, as the log sequence number behind what was given out.
///
/// It is stored as text, `core:lsn` for each log with one space between: `0:86016 1:4096`. A log that it does not
/// name is read from its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Offset {
    /// By core, each once.
    logs: Vec<(u32, u64)>,
}

/// Text that is no offset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is no offset: it should be like `0:86016 1:4096`, each core once", found.escape_debug())]
pub struct OffsetError {
    /// What it is; its beginning when it is long.
    pub found: String,
}

/// The most logs of one offset.
pub const OFFSET_LOGS_LIMIT: usize = 4_096;

/// The longest text of an offset: so many logs with the highest numbers.
const TEXT_LIMIT_BYTES: usize = OFFSET_LOGS_LIMIT * 32;

impl Offset {
    /// Before the first event of every log.
    pub fn beginning() -> Self {
        Offset::default()
    }

    /// The place in one core's log; 0 for the beginning.
    pub fn lsn(&self, core: u32) -> u64 {
        self.place(core).map_or(0, |place| self.logs[place].1)
    }

    /// The same with another place in one core's log.
    pub fn with(mut self, core: u32, lsn: u64) -> Self {
        self.set(core, lsn);
        self
    }

    /// Whether it is the beginning of every log.
    pub fn is_beginning(&self) -> bool {
        self.logs.iter().all(|(_, lsn)| *lsn == 0)
    }

    /// The cores it names, in their order.
    pub fn cores(&self) -> impl Iterator<Item = u32> {
        self.logs.iter().map(|(core, _)| *core)
    }

    pub(super) fn set(&mut self, core: u32, lsn: u64) {
        match self.place(core) {
            Some(place) => self.logs[place].1 = lsn,
            None => {
                let place = self.logs.partition_point(|(other, _)| *other < core);
                self.logs.insert(place, (core, lsn));
            }
        }
    }

    fn place(&self, core: u32) -> Option<usize> {
        self.logs.binary_search_by_key(&core, |(core, _)| *core).ok()
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (core, lsn)) in self.logs.iter().enumerate() {
            let space = if number == 0 { "" } else { " " };
            write!(f, "{space}{core}:{lsn}")?;
        }
        Ok(())
    }
}

impl FromStr for Offset {
    type Err = OffsetError;

    fn from_str(text: &str) -> Result<Self, OffsetError> {
        let refused = || OffsetError { found: text.chars().take(100).collect() };
        if text.len() > TEXT_LIMIT_BYTES {
            return Err(refused());
        }
        let mut offset = Offset::beginning();
        for part in text.split_ascii_whitespace() {
            let (core, lsn) = part.split_once(':').ok_or_else(refused)?;
            let core = core.parse().map_err(|_| refused())?;
            let lsn = lsn.parse().map_err(|_| refused())?;
            if offset.place(core).is_some() || offset.logs.len() == OFFSET_LOGS_LIMIT {
                return Err(refused());
            }
            offset.set(core, lsn);
        }
        Ok(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_read_as_it_was_written() {
        let offset = Offset::beginning().with(3, 86_016).with(0, u64::MAX).with(3, 4_096);
        assert_eq!(offset.to_string(), "0:18446744073709551615 3:4096");
        assert_eq!(offset.to_string().parse(), Ok(offset.clone()));
        assert_eq!((offset.lsn(3), offset.lsn(1)), (4_096, 0));
        assert_eq!("".parse(), Ok(Offset::beginning()));
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["4096", "0:", ":1", "0:1,1:2", "0:1 0:2", "-1:5", "0:99999999999999999999"] {
            let error = text.parse::<Offset>().expect_err(text);
            assert_eq!(error.found, text);
        }
        let long = "1".repeat(TEXT_LIMIT_BYTES + 1);
        assert_eq!(long.parse::<Offset>().expect_err("too long").found.len(), 100);
    }

    #[test]
    fn any_text_is_read_without_a_panic() {
        proptest::proptest!(|(text in "[0-9: ]{0,40}|\\PC{0,40}")| {
            if let Ok(offset) = text.parse::<Offset>() {
                assert_eq!(offset.to_string().parse(), Ok(offset));
            }
        });
    }
}
