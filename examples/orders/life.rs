//! One life of the shop, as a process of its own: works until all orders have ended, or until it is killed.
//!
//! It tells how far it is in lines of JSON on stdout; when nobody reads them any more, it ends.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::meter::Counts;
use super::options::Options;
use super::shop::{Shop, ShopError};

/// How often it says how far it is.
const LINE_EVERY: Duration = Duration::from_millis(5);

/// A line of a life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The journal is open, and the ledgers have recovered.
    Ready {
        /// From the start of the process until the journal was open, in microseconds.
        opened_us: u64,
        /// From the start of the process until the ledgers had recovered.
        recovered_us: u64,
    },
    /// How far it is.
    Progress {
        /// Orders that have ended, in all lives.
        ended: u64,
        /// How long it took until events were durable, since the last line: nanoseconds, and how often.
        commits: Counts,
    },
    /// All orders have ended.
    Ended,
}

/// Why a life came to an early end.
#[derive(Debug, thiserror::Error)]
pub enum LifeError {
    #[error(transparent)]
    Shop(#[from] ShopError),
    #[error("nobody reads how far it is: {0}")]
    Write(#[from] io::Error),
    #[error("the mark did not recover, so it is not known where to begin")]
    Lost,
}

/// Works until all orders have ended.
pub fn live(options: &Options, data: PathBuf, started: Instant) -> Result<(), LifeError> {
    let shop = Shop::open(options, data)?;
    let opened_us = started.elapsed().as_micros() as u64;
    shop.await_ledgers()?;
    let recovered_us = started.elapsed().as_micros() as u64;
    say(&Line::Ready { opened_us, recovered_us })?;
    let clerk = shop.begin(options)?;
    loop {
        std::thread::sleep(LINE_EVERY);
        let progress = shop.progress(clerk)?;
        if progress.is_lost {
            return Err(LifeError::Lost);
        }
        say(&Line::Progress { ended: progress.ended, commits: shop.commits()? })?;
        if progress.ended >= options.orders {
            break;
        }
    }
    shop.close()?;
    Ok(say(&Line::Ended)?)
}

fn say(line: &Line) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, line)?;
    writeln!(out)?;
    out.flush()
}
