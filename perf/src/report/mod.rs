//! What runs have found, as one page that a browser shows, also on a phone.
//!
//! The page is whole by itself: pictures are drawn here as SVG, and nothing is loaded and no script runs. It shows what
//! stands in the result folders and computes no figure of its own. A run that is invalid shows its reasons and no
//! headline. Everything that comes from a file is escaped.
//!
//! | module | what |
//! |---|---|
//! | `folder` | what a result folder holds |
//! | `page` | the page |
//! | `chart`, `bars` | the two kinds of pictures, over `axis` and `svg` |
//! | `facts` | figures as rows of a table |
//! | `percentiles` | reads `.hgrm` |
//! | `quantity` | numbers with units |

pub mod axis;
pub mod bars;
pub mod chart;
mod facts;
mod folder;
mod page;
mod percentiles;
pub mod quantity;
pub mod svg;

use std::io;
use std::path::{Path, PathBuf};

/// The most result folders on one page.
pub const MOST_FOLDERS: usize = 200;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// No folder, or too many.
    #[error("{given} result folders given; name 1 to {MOST_FOLDERS}")]
    Number {
        /// How many were given.
        given: usize,
    },
    /// The folder's writer has not come to its end.
    #[error("{}: this run was not finished; run it again", .0.display())]
    Unfinished(PathBuf),
    /// The folder holds none of our results.
    #[error(
        "{}: no run.json, curve.json, compare.json or pair.json in it; name a result folder", .0.display()
    )]
    NoResult(PathBuf),
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file is longer than any of ours.
    #[error("{}: more than {MOST_FILE_BYTES} bytes, which is no result of ours", .0.display())]
    TooLong(PathBuf),
    /// A JSON file is none.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where it is wrong.
        source: serde_json::Error,
    },
    /// A percentile file is none.
    #[error("{}: line {line} holds no percentile", path.display())]
    Percentiles {
        /// The file.
        path: PathBuf,
        /// The line that is wrong.
        line: usize,
    },
}

/// The longest file that is read.
pub const MOST_FILE_BYTES: u64 = 16 << 20;

/// One page of many results, in the order in which their folders are named.
pub fn page(folders: &[&Path]) -> Result<String, ReportError> {
    if !(1..=MOST_FOLDERS).contains(&folders.len()) {
        return Err(ReportError::Number { given: folders.len() });
    }
    let found: Result<Vec<folder::Found>, _> =
        folders.iter().map(|path| folder::Found::in_folder(path)).collect();
    Ok(page::html(&found?))
}

/// The page of one result that is still being written to a folder and will be named so.
///
/// # Errors
/// [`ReportError`].
pub fn page_of_new(folder: &Path, name: &str) -> Result<String, ReportError> {
    Ok(page::html(&[folder::Found::named(folder, name.to_owned())?]))
}

/// The picture of a curve: `result` is what `curve.json` holds.
pub fn curve_svg(result: &serde_json::Value) -> String {
    page::curve(result).to_svg()
}

#[cfg(test)]
mod tests;
