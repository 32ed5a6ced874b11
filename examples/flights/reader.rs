//! Flights from a gzip-compressed CSV file: row by row as it is decompressed, or from its text in parallel.
//!
//! Every error names the file, and the line where there is one. A file that is missing, cut short, damaged, too large
//! or malformed is refused; rows read before that stay valid. Memory is bounded by [`TEXT_LIMIT_BYTES`].

use super::record::{COLUMNS, Flight, RowError};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, Cursor, Read, Take};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Decompressed bytes of a file that are read at most.
pub const TEXT_LIMIT_BYTES: u64 = 1 << 30;

/// Why a file gives no (more) flights.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{}: cannot be opened: {source}; name another file with --data", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("{}:{line}: the compressed data ends too early: the file is truncated", path.display())]
    Truncated { path: PathBuf, line: u64 },
    #[error("{}:{line}: cannot be decompressed: {source}; a gzip file is expected", path.display())]
    Damaged { path: PathBuf, line: u64, source: io::Error },
    #[error("{}:{line}: more than {TEXT_LIMIT_BYTES} bytes of text; split the file", path.display())]
    TooLarge { path: PathBuf, line: u64 },
    #[error("{}:1: the first line must be `{}`, not `{found}`", path.display(), COLUMNS.join(","))]
    Header { path: PathBuf, found: String },
    #[error("{}:{line}: {reason}", path.display())]
    Row { path: PathBuf, line: u64, reason: RowError },
    #[error("{}:1: no flight after the first line", path.display())]
    NoFlights { path: PathBuf },
}

/// Flights of a file or of a part of it, in order. After an error it gives nothing more.
pub struct Rows<R> {
    path: Arc<Path>,
    rows: csv::Reader<R>,
    /// Bytes that may still be read: tells a text that is too large from one that ends.
    limited: bool,
    record: csv::ByteRecord,
    lines_before: u64,
    ended: bool,
}

/// Opens a file and reads it as it is decompressed. The first line is checked.
pub fn open(path: &Path) -> Result<Rows<impl Read>, ReadError> {
    let mut rows = Rows::new(path.into(), 0, true, decompressed(path)?);
    rows.read_header()?;
    Ok(rows)
}

/// The decompressed text of a file, shared by all who read parts of it.
#[derive(Clone)]
pub struct Text {
    path: Arc<Path>,
    bytes: Arc<[u8]>,
}

/// Whole rows of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// The line of its first row, counted from 1.
    pub first_line: u64,
    start: usize,
    end: usize,
}

impl Text {
    /// Decompresses a file into memory and checks its first line.
    pub fn read(path: &Path) -> Result<Text, ReadError> {
        let mut bytes = Vec::new();
        let result = decompressed(path)?.read_to_end(&mut bytes);
        let line = 1 + bytes.iter().filter(|&&byte| byte == b'\n').count() as u64;
        result.map_err(|source| read_error(path, line, source))?;
        if bytes.len() as u64 > TEXT_LIMIT_BYTES {
            return Err(ReadError::TooLarge { path: path.into(), line });
        }
        let text = Text { path: path.into(), bytes: bytes.into() };
        let whole = Block { first_line: 1, start: 0, end: text.bytes.len() };
        text.rows(whole).read_header()?;
        Ok(text)
    }

    /// The text in blocks of `rows_per_block` lines (at least one), in order, without the first line.
    pub fn blocks(&self, rows_per_block: usize) -> Vec<Block> {
        let ends = self.bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let mut ends: Vec<usize> = ends.map(|(at, _)| at + 1).collect();
        if ends.last() != Some(&self.bytes.len()) {
            ends.push(self.bytes.len());
        }
        let lines: Vec<usize> = (1..ends.len()).step_by(rows_per_block.max(1)).collect();
        let block = |&first: &usize| Block {
            first_line: first as u64 + 1,
            start: ends[first - 1],
            end: ends[(first + rows_per_block.max(1)).min(ends.len()) - 1],
        };
        lines.iter().map(block).collect()
    }

    /// The flights of one block.
    pub fn rows(&self, block: Block) -> Rows<Take<Cursor<Arc<[u8]>>>> {
        let mut cursor = Cursor::new(self.bytes.clone());
        cursor.set_position(block.start as u64);
        let part = cursor.take((block.end - block.start) as u64);
        Rows::new(self.path.clone(), block.first_line - 1, false, part)
    }
}

impl<R: Read> Rows<R> {
    fn new(path: Arc<Path>, lines_before: u64, limited: bool, text: R) -> Rows<R> {
        // Rows end at line breaks, whatever is in them; so a text can be cut at any of these.
        let rows = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .quoting(false)
            .from_reader(text);
        Rows { path, rows, limited, record: csv::ByteRecord::new(), lines_before, ended: false }
    }

    /// The line that was read last, counted from 1 in the file.
    pub fn line(&self) -> u64 {
        let of_part = self.record.position().map_or(1, csv::Position::line);
        self.lines_before + of_part
    }

    /// The next row; `None` at the end.
    fn read_record(&mut self) -> Result<Option<&csv::ByteRecord>, ReadError> {
        if self.limited && self.rows.position().byte() > TEXT_LIMIT_BYTES {
            return Err(ReadError::TooLarge { path: self.path.to_path_buf(), line: self.line() });
        }
        match self.rows.read_byte_record(&mut self.record) {
            Ok(true) => Ok(Some(&self.record)),
            Ok(false) => Ok(None),
            Err(error) => {
                let line = self.lines_before + self.rows.position().line();
                let source = match error.into_kind() {
                    csv::ErrorKind::Io(source) => source,
                    // Rows of any length and any bytes are accepted, so csv itself has nothing to refuse.
                    other => io::Error::other(format!("{other:?}")),
                };
                Err(read_error(&self.path, line, source))
            }
        }
    }

    fn read_header(&mut self) -> Result<(), ReadError> {
        let found = self.read_record()?.map(|row| row.iter().collect::<Vec<_>>().join(&b','));
        let found = found.unwrap_or_default();
        if found != COLUMNS.join(",").as_bytes() {
            // A wrong file may hold anything: enough of it to be recognised.
            let found = String::from_utf8_lossy(&found[..found.len().min(200)]).into_owned();
            return Err(ReadError::Header { path: self.path.to_path_buf(), found });
        }
        Ok(())
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Flight, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let flight = match self.read_record() {
            Ok(Some(row)) => Flight::parse(row.iter().collect::<Vec<_>>().into_iter()),
            Ok(None) => {
                self.ended = true;
                return None;
            }
            Err(error) => {
                self.ended = true;
                return Some(Err(error));
            }
        };
        Some(flight.map_err(|reason| {
            self.ended = true;
            ReadError::Row { path: self.path.to_path_buf(), line: self.line(), reason }
        }))
    }
}

fn decompressed(path: &Path) -> Result<Take<MultiGzDecoder<File>>, ReadError> {
    let file = File::open(path).map_err(|source| ReadError::Open { path: path.into(), source })?;
    // One byte over the limit, so that a text of just that size is not refused.
    Ok(MultiGzDecoder::new(file).take(TEXT_LIMIT_BYTES + 1))
}

fn read_error(path: &Path, line: u64, source: io::Error) -> ReadError {
    let path = path.to_path_buf();
    match source.kind() {
        io::ErrorKind::UnexpectedEof => ReadError::Truncated { path, line },
        _ => ReadError::Damaged { path, line, source },
    }
}
