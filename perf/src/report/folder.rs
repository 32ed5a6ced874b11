//! What a result folder holds, read and checked for its form.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;

use super::chart::Point;
use super::percentiles;
use super::{MOST_FILE_BYTES, ReportError};

/// Which command has written a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `run`.
    Run,
    /// `curve`.
    Curve,
    /// `compare`.
    Comparison,
    /// `pair`.
    Pair,
}

/// The contents of one result folder.
#[derive(Debug)]
pub struct Found {
    /// The folder's name.
    pub name: String,
    /// Who wrote it.
    pub kind: Kind,
    /// The result.
    pub result: Value,
    /// The machine, where it was written down.
    pub environment: Option<Value>,
    /// The response times, from the scheduled time.
    pub response: Option<Vec<Point>>,
    /// The service times, from the actual send.
    pub service: Option<Vec<Point>>,
}

impl Found {
    /// Reads a folder.
    pub fn in_folder(folder: &Path) -> Result<Found, ReportError> {
        // A folder may be named with a slash at its end, or as `.`.
        let whole = folder.canonicalize().map_err(|source| unreadable(folder, source))?;
        let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(UNFINISHED) {
            return Err(ReportError::Unfinished(folder.to_owned()));
        }
        Found::named(folder, name)
    }

    /// Reads a folder that will have this name: its writer adds the page before it is finished.
    pub fn named(folder: &Path, name: String) -> Result<Found, ReportError> {
        for (kind, file) in KINDS {
            let Some(result) = json(&folder.join(file))? else { continue };
            return Ok(Found {
                name,
                kind,
                result,
                environment: json(&folder.join("env.json"))?,
                response: distribution(&folder.join("response.hgrm"))?,
                service: distribution(&folder.join("service.hgrm"))?,
            });
        }
        Err(ReportError::NoResult(folder.to_owned()))
    }
}

/// How the name of a folder starts while it is being written.
const UNFINISHED: &str = ".unfinished-";

const KINDS: [(Kind, &str); 4] = [
    (Kind::Run, "run.json"),
    (Kind::Curve, "curve.json"),
    (Kind::Comparison, "compare.json"),
    (Kind::Pair, "pair.json"),
];

fn json(path: &Path) -> Result<Option<Value>, ReportError> {
    let Some(text) = text(path)? else { return Ok(None) };
    let wrong = |source| ReportError::Json { path: path.to_owned(), source };
    serde_json::from_str(&text).map(Some).map_err(wrong)
}

fn distribution(path: &Path) -> Result<Option<Vec<Point>>, ReportError> {
    let Some(text) = text(path)? else { return Ok(None) };
    let wrong = |line| ReportError::Percentiles { path: path.to_owned(), line };
    percentiles::parse(&text).map(Some).map_err(wrong)
}

/// The text of a file; none when there is no such file.
fn text(path: &Path) -> Result<Option<String>, ReportError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(unreadable(path, source)),
    };
    let mut text = String::new();
    file.take(MOST_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|source| unreadable(path, source))?;
    if text.len() as u64 > MOST_FILE_BYTES {
        return Err(ReportError::TooLong(path.to_owned()));
    }
    Ok(Some(text))
}

fn unreadable(path: &Path, source: io::Error) -> ReportError {
    ReportError::Unreadable { path: path.to_owned(), source }
}
