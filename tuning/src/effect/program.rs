//! A scenario of `mainspring-perf`, run as a program of its own.
//!
//! Promises: it has [`RUN_LIMIT`]; a run that takes longer is ended. What it leaves behind is removed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{EffectError, Measurement};

/// How long one run may take.
pub const RUN_LIMIT: Duration = Duration::from_secs(300);

/// A scenario, and the program that runs it.
#[derive(Debug)]
pub struct Program {
    program: PathBuf,
    scenario: String,
    folder: PathBuf,
    invalid_runs: usize,
    runs: usize,
}

impl Program {
    /// The folder is for what a run leaves behind: it is made, and removed in the end.
    pub fn new(program: PathBuf, scenario: String, folder: PathBuf) -> Program {
        Program { program, scenario, folder, invalid_runs: 0, runs: 0 }
    }

    /// Runs of which the program itself said that the machine was too busy to believe them, of all runs.
    pub fn invalid_runs(&self) -> (usize, usize) {
        (self.invalid_runs, self.runs)
    }

    fn run(&self) -> io::Result<(ExitStatus, String)> {
        fs::create_dir_all(&self.folder)?;
        let path = self.folder.join("printed");
        let mut child = Command::new(&self.program)
            .args(["run", &self.scenario, "--rounds", ROUNDS, "--json", "--show-invalid", "--out"])
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(File::create(&path)?)
            .stderr(Stdio::null())
            .spawn()?;
        let status = ended(&mut child)?;
        let mut printed = String::new();
        File::open(&path)?.take(PRINTED_LIMIT_BYTES).read_to_string(&mut printed)?;
        Ok((status, printed))
    }

    fn no_figure(&self, what: String) -> EffectError {
        let (program, scenario) = (self.program.clone(), self.scenario.clone());
        EffectError::NoFigure { program, scenario, what }
    }
}

impl Measurement for Program {
    /// The median of a run's rounds, a message.
    fn measure_ns(&mut self) -> Result<f64, EffectError> {
        let not_started =
            |source| EffectError::NotStarted { program: self.program.clone(), source };
        let (status, printed) = self.run().map_err(not_started)?;
        let result: Value = serde_json::from_str(&printed).unwrap_or_default();
        let figure = result["ns_per_message"].as_f64().filter(|ns| ns.is_finite() && *ns > 0.0);
        let Some(ns) = figure else {
            return Err(self.no_figure(format!("printed no ns_per_message ({status})")));
        };
        self.runs += 1;
        self.invalid_runs += usize::from(result["verdict"] == "invalid");
        Ok(ns)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // What stays behind is a folder of results; there is nobody to be told.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn ended(child: &mut Child) -> io::Result<ExitStatus> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if began.elapsed() > RUN_LIMIT {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::new(io::ErrorKind::TimedOut, "a run took too long"));
        }
        thread::sleep(POLL);
    }
}

const ROUNDS: &str = "3";
const POLL: Duration = Duration::from_millis(2);
const PRINTED_LIMIT_BYTES: u64 = 1 << 20;
