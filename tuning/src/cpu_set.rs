//! Sets of CPU numbers, and the kernel's text form of them, such as `0-3,8,10-11`.
//!
//! Promises: any set is printed in the shortest such form, and reading what was printed gives the same set. Any other
//! text is refused with the position of the first byte that is wrong. Refuses: numbers of [`CPU_LIMIT`] and above, and
//! the kernel's stride form (`0-31:2/4`), which it accepts but never prints.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// CPU numbers are below this: the most CPUs for which a Linux kernel can be built.
pub const CPU_LIMIT: u32 = 8192;

/// A set of CPU numbers, in ascending order. NUMA node numbers have the same text form and are held in it too.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct CpuSet {
    numbers: BTreeSet<u32>,
}

/// A text is not a list of CPUs. Positions count bytes from 0.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CpuListError {
    /// A number should stand here.
    #[error("at byte {position} of the CPU list: expected a number, found {}", or_the_end(*.found))]
    ExpectedNumber {
        /// Where the number was expected.
        position: usize,
        /// What stands there; nothing at the end of the text.
        found: Option<char>,
    },
    /// A number is too large to be a CPU's.
    #[error("at byte {position} of the CPU list: the number is not below {CPU_LIMIT}")]
    NumberTooLarge {
        /// Where the number begins.
        position: usize,
    },
    /// A range ends before it begins.
    #[error("at byte {position} of the CPU list: the range {first}-{last} ends before it begins")]
    ReversedRange {
        /// Where the range begins.
        position: usize,
        /// Its first number.
        first: u32,
        /// Its last number.
        last: u32,
    },
    /// A number is followed by something other than a comma, a dash or the end.
    #[error("at byte {position} of the CPU list: expected `,`, `-` or the end, found {found:?}")]
    UnexpectedCharacter {
        /// Where the character stands.
        position: usize,
        /// The character.
        found: char,
    },
}

impl CpuSet {
    /// No CPU.
    pub fn new() -> CpuSet {
        CpuSet::default()
    }

    /// How many CPUs.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Whether the CPU is in the set.
    pub fn contains(&self, cpu: u32) -> bool {
        self.numbers.contains(&cpu)
    }

    /// Adds a CPU; whether it was missing.
    pub fn insert(&mut self, cpu: u32) -> bool {
        self.numbers.insert(cpu)
    }

    /// The CPU with the lowest number.
    pub fn first(&self) -> Option<u32> {
        self.numbers.first().copied()
    }

    /// The CPUs in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.numbers.iter().copied()
    }

    /// Whether every CPU of this set is in the other.
    pub fn is_subset(&self, other: &CpuSet) -> bool {
        self.numbers.is_subset(&other.numbers)
    }

    /// The CPUs of this set which are not in the other.
    pub fn difference(&self, other: &CpuSet) -> CpuSet {
        self.numbers.difference(&other.numbers).copied().collect()
    }

    /// The CPUs which are in either set.
    pub fn union(&self, other: &CpuSet) -> CpuSet {
        self.numbers.union(&other.numbers).copied().collect()
    }

    /// Reads the kernel's other text form, a mask of hexadecimal digits in groups of 32 bits, such as `ff,00000001`.
    ///
    /// # Errors
    /// [`CpuListError`] with the position of the first byte that is wrong.
    pub fn from_mask(text: &str) -> Result<CpuSet, CpuListError> {
        let mut cpus = CpuSet::new();
        let mut first = 0;
        for (position, found) in text.trim_end().char_indices().rev() {
            if found == ',' {
                continue;
            }
            let digit =
                found.to_digit(16).ok_or(CpuListError::UnexpectedCharacter { position, found })?;
            for bit in (0..4).filter(|bit| digit >> bit & 1 == 1) {
                if first + bit >= CPU_LIMIT {
                    return Err(CpuListError::NumberTooLarge { position });
                }
                cpus.insert(first + bit);
            }
            first = first.saturating_add(4);
        }
        Ok(cpus)
    }

    /// The set as a mask of hexadecimal digits in groups of 32 bits, at least as long as one for `cpus` CPUs: as the
    /// kernel shows the masks of a machine that could have so many.
    pub fn to_mask(&self, cpus: u32) -> String {
        let last = self.numbers.last().copied().unwrap_or(0);
        let digits = cpus.max(last + 1).div_ceil(4);
        let mut mask = String::new();
        for place in (0..digits).rev() {
            let bit = |bit: u32| u32::from(self.contains(place * 4 + bit)) << bit;
            let digit = (0..4).map(bit).sum();
            mask.extend(char::from_digit(digit, 16));
            if place > 0 && place % 8 == 0 {
                mask.push(',');
            }
        }
        mask
    }

    /// The CPUs which are in both sets.
    pub fn intersection(&self, other: &CpuSet) -> CpuSet {
        self.numbers.intersection(&other.numbers).copied().collect()
    }
}

impl FromIterator<u32> for CpuSet {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> CpuSet {
        CpuSet { numbers: numbers.into_iter().collect() }
    }
}

impl FromStr for CpuSet {
    type Err = CpuListError;

    /// Reads a list such as `0-3,8`. White space around the list is allowed, and an empty list is the empty set.
    fn from_str(text: &str) -> Result<CpuSet, CpuListError> {
        let mut cpus = CpuSet::new();
        let mut scan =
            Scan { text: text.trim_end(), position: text.len() - text.trim_start().len() };
        if scan.peek().is_none() {
            return Ok(cpus);
        }
        loop {
            let position = scan.position;
            let first = scan.number()?;
            let last = if scan.skip('-') { scan.number()? } else { first };
            if last < first {
                return Err(CpuListError::ReversedRange { position, first, last });
            }
            cpus.numbers.extend(first..=last);
            match scan.peek() {
                None => return Ok(cpus),
                Some(',') => scan.position += 1,
                Some(found) => {
                    let position = scan.position;
                    return Err(CpuListError::UnexpectedCharacter { position, found });
                }
            }
        }
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut numbers = self.iter().peekable();
        let mut separator = "";
        while let Some(first) = numbers.next() {
            let mut last = first;
            while let Some(next) = numbers.next_if_eq(&last.saturating_add(1)) {
                last = next;
            }
            if first == last {
                write!(f, "{separator}{first}")?;
            } else {
                write!(f, "{separator}{first}-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

/// Where the reader of a list stands.
struct Scan<'a> {
    text: &'a str,
    position: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.position..)?.chars().next()
    }

    fn skip(&mut self, expected: char) -> bool {
        let found = self.peek() == Some(expected);
        if found {
            self.position += expected.len_utf8();
        }
        found
    }

    fn number(&mut self) -> Result<u32, CpuListError> {
        let position = self.position;
        let mut number: Option<u32> = None;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            let next = number.unwrap_or(0) * 10 + digit;
            if next >= CPU_LIMIT {
                return Err(CpuListError::NumberTooLarge { position });
            }
            number = Some(next);
            self.position += 1;
        }
        number.ok_or(CpuListError::ExpectedNumber { position, found: self.peek() })
    }
}

fn or_the_end(found: Option<char>) -> String {
    found.map_or(String::from("the end"), |found| format!("{found:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(text: &str) -> Result<Vec<u32>, CpuListError> {
        text.parse::<CpuSet>().map(|cpus| cpus.iter().collect())
    }

    #[test]
    fn the_kernels_lists_are_read() {
        assert_eq!(list("0-3,8,10-11\n"), Ok(vec![0, 1, 2, 3, 8, 10, 11]));
        assert_eq!(list("0"), Ok(vec![0]));
        assert_eq!(list("\n"), Ok(vec![]), "an empty file means no CPU");
        assert_eq!(list("5,1-2,2"), Ok(vec![1, 2, 5]), "order and repetition do not matter");
        assert_eq!(list("8191"), Ok(vec![8191]));
    }

    #[test]
    fn the_kernels_masks_are_read_and_written() {
        let cpus = |text| CpuSet::from_mask(text).map(|cpus| cpus.to_string());
        assert_eq!(cpus("ff\n"), Ok("0-7".into()));
        assert_eq!(cpus("00000001,80000000\n"), Ok("31-32".into()));
        assert_eq!(cpus("0"), Ok(String::new()));
        assert_eq!("31-32".parse::<CpuSet>().unwrap().to_mask(2), "1,80000000");
        assert_eq!("0-1".parse::<CpuSet>().unwrap().to_mask(64), "00000000,00000003");
        assert_eq!("0,8".parse::<CpuSet>().unwrap().to_mask(16), "0101");
        let found = CpuListError::UnexpectedCharacter { position: 1, found: 'x' };
        assert_eq!(CpuSet::from_mask("0x1"), Err(found));
        let too_long = format!("1{}", "0".repeat(CPU_LIMIT as usize / 4));
        assert_eq!(CpuSet::from_mask(&too_long), Err(CpuListError::NumberTooLarge { position: 0 }));
    }

    #[test]
    fn a_wrong_list_is_refused_with_its_position() {
        use CpuListError::*;
        assert_eq!(list("0,,1"), Err(ExpectedNumber { position: 2, found: Some(',') }));
        assert_eq!(list("0-"), Err(ExpectedNumber { position: 2, found: None }));
        assert_eq!(list("-1"), Err(ExpectedNumber { position: 0, found: Some('-') }));
        assert_eq!(list(" 0,\n"), Err(ExpectedNumber { position: 3, found: None }));
        assert_eq!(list("1,5-3"), Err(ReversedRange { position: 2, first: 5, last: 3 }));
        assert_eq!(list("1,8192"), Err(NumberTooLarge { position: 2 }));
        assert_eq!(list("99999999999999999999"), Err(NumberTooLarge { position: 0 }));
        assert_eq!(list("0-31:2/4"), Err(UnexpectedCharacter { position: 4, found: ':' }));
        assert_eq!(list("1 2"), Err(UnexpectedCharacter { position: 1, found: ' ' }));
        assert_eq!(list("1é"), Err(UnexpectedCharacter { position: 1, found: 'é' }));
    }

    #[test]
    fn an_error_says_where_and_what() {
        let refused = "0,x".parse::<CpuSet>().unwrap_err().to_string();
        assert_eq!(refused, "at byte 2 of the CPU list: expected a number, found 'x'");
    }

    proptest! {
        #[test]
        fn what_was_printed_reads_as_the_same_set(
            numbers in prop::collection::btree_set(prop_oneof![0..40u32, 0..CPU_LIMIT], 0..40),
        ) {
            let cpus: CpuSet = numbers.into_iter().collect();
            prop_assert_eq!(cpus.to_string().parse::<CpuSet>(), Ok(cpus));
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[-0-9, \\n:a\u{e9}\u{1f600}]{0,24}") {
            if let Ok(cpus) = text.parse::<CpuSet>() {
                prop_assert_eq!(cpus.to_string().parse::<CpuSet>(), Ok(cpus));
            }
        }
    }
}
