//! Files that are whole, missing, cut, damaged and malformed, and texts cut into blocks.

use super::reader::{Block, ReadError, Text, open};
use super::record::{COLUMNS, Flight};
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

const ROW: &str = "2013-01-01T10:15Z,UA,EWR,IAH,1400,N14228,2,11,227";

/// A file that is removed with its folder.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str, bytes: &[u8]) -> Scratch {
        let folder = std::env::temp_dir().join(format!("flights-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("flights.csv.gz"), bytes).unwrap();
        Scratch(folder)
    }

    pub fn path(&self) -> PathBuf {
        self.0.join("flights.csv.gz")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort: a scratch file that stays does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A text with so many flights; their distances count up from 0.
pub fn text(rows: usize) -> String {
    let row = |i: usize| format!("2013-01-01T10:{:02}Z,UA,EWR,IAH,{i},N{i},2,11,227\n", i % 60);
    format!("{}\n{}", COLUMNS.join(","), (0..rows).map(row).collect::<String>())
}

/// A text as a gzip file.
pub fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Reads row by row: the flights before the first error, and the error.
fn streamed(path: &Path) -> (Vec<Flight>, Option<ReadError>) {
    let mut flights = Vec::new();
    let rows = match open(path) {
        Ok(rows) => rows,
        Err(error) => return (flights, Some(error)),
    };
    for row in rows {
        match row {
            Ok(flight) => flights.push(flight),
            Err(error) => return (flights, Some(error)),
        }
    }
    (flights, None)
}

fn in_blocks(path: &Path, rows_per_block: usize) -> Result<Vec<Flight>, ReadError> {
    let text = Text::read(path)?;
    text.blocks(rows_per_block).into_iter().flat_map(|block| text.rows(block)).collect()
}

#[test]
fn a_whole_file_gives_all_its_flights_in_order() {
    let file = Scratch::new("whole", &gzip(&text(1_000)));
    let (flights, error) = streamed(&file.path());
    assert!(error.is_none(), "{error:?}");
    assert_eq!(flights.len(), 1_000);
    assert!(flights.iter().enumerate().all(|(i, flight)| usize::from(flight.distance_mi) == i));
}

#[test]
fn files_joined_end_to_end_are_one_file() {
    let mut bytes = gzip(&text(3));
    bytes.extend(gzip(&format!("{ROW}\n")));
    let file = Scratch::new("joined", &bytes);
    assert_eq!(streamed(&file.path()).0.len(), 4);
    assert_eq!(in_blocks(&file.path(), 2).unwrap().len(), 4);
}

#[test]
fn a_missing_file_is_named() {
    let path = Path::new("no/such/flights.csv.gz");
    for error in [streamed(path).1.unwrap(), Text::read(path).err().unwrap()] {
        assert!(matches!(error, ReadError::Open { .. }));
        assert!(
            error.to_string().starts_with("no/such/flights.csv.gz: cannot be opened"),
            "{error}"
        );
    }
}

#[test]
fn a_truncated_file_says_at_which_line_it_ends() {
    let whole = gzip(&text(20_000));
    for keep in [0, 5, 15, whole.len() / 2, whole.len() - 1] {
        let file = Scratch::new(&format!("cut{keep}"), &whole[..keep]);
        let (flights, error) = streamed(&file.path());
        let error = error.unwrap_or_else(|| panic!("{keep} bytes of {} were enough", whole.len()));
        let ReadError::Truncated { line, .. } = error else { panic!("{keep}: {error}") };
        // The reader buffers: it may have seen some of the next rows.
        assert!(
            line >= flights.len() as u64,
            "{keep}: line {line} after {} flights",
            flights.len()
        );
        assert!(error.to_string().contains(&format!(":{line}: ")), "{error}");
        let read = Text::read(&file.path());
        assert!(matches!(read, Err(ReadError::Truncated { .. })), "{keep}");
    }
}

#[test]
fn a_file_that_is_not_gzip_or_damaged_is_refused() {
    let plain = Scratch::new("plain", text(3).as_bytes());
    let (_, error) = streamed(&plain.path());
    assert!(matches!(error, Some(ReadError::Damaged { line: 1, .. })), "{error:?}");
    let mut bytes = gzip(&text(20_000));
    let last = bytes.len() - 6; // inside the check sum
    bytes[last] ^= 1;
    let damaged = Scratch::new("damaged", &bytes);
    assert!(matches!(streamed(&damaged.path()).1, Some(ReadError::Damaged { .. })));
    assert!(matches!(Text::read(&damaged.path()), Err(ReadError::Damaged { .. })));
}

#[test]
fn another_first_line_is_refused() {
    for content in ["", "a,b\n", &format!("{ROW}\n")] {
        let file = Scratch::new(&format!("header{}", content.len()), &gzip(content));
        assert!(matches!(streamed(&file.path()).1, Some(ReadError::Header { .. })), "{content}");
        assert!(matches!(Text::read(&file.path()), Err(ReadError::Header { .. })), "{content}");
    }
}

#[test]
fn a_malformed_row_is_named_by_its_line() {
    let content = format!("{}{ROW}\n2013-01-01T10:15Z,UA,EWR\n{ROW}\n", text(700));
    let file = Scratch::new("malformed", &gzip(&content));
    let (flights, error) = streamed(&file.path());
    assert_eq!(flights.len(), 701);
    assert!(matches!(error, Some(ReadError::Row { line: 703, .. })), "{error:?}");
    for rows_per_block in [1, 64, 10_000] {
        let error = in_blocks(&file.path(), rows_per_block).unwrap_err();
        assert!(matches!(error, ReadError::Row { line: 703, .. }), "{rows_per_block}: {error}");
        let message = error.to_string();
        assert!(message.contains("flights.csv.gz:703: 3 fields where 9 are expected"), "{message}");
    }
}

#[test]
fn the_data_beside_the_program_is_whole() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("flights/data/flights.csv.gz");
    let (flights, error) = streamed(&path);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(flights.len(), 336_776);
    assert!(flights.is_sorted_by_key(|flight| flight.time));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn blocks_cover_every_row_once(
        rows in 0..60_usize,
        rows_per_block in 0..20_usize,
        last_line_ends in any::<bool>(),
    ) {
        let mut content = text(rows);
        if !last_line_ends {
            content.pop();
        }
        let file = Scratch::new(&format!("blocks{rows}-{rows_per_block}"), &gzip(&content));
        let whole = Text::read(&file.path()).unwrap();
        let blocks: Vec<Block> = whole.blocks(rows_per_block);
        let mut next = 0;
        for block in blocks {
            prop_assert_eq!(block.first_line, next + 2);
            for flight in whole.rows(block) {
                prop_assert_eq!(u64::from(flight.unwrap().distance_mi), next);
                next += 1;
            }
        }
        prop_assert_eq!(next, rows as u64);
    }
}
