//! What a command leaves behind: a folder with its result, its latencies and what is known of the machine.
//!
//! | file | what |
//! |---|---|
//! | `run.json`, `curve.json`, .. | the result |
//! | `response.hlog` | responses by the second, as [HdrHistogram tools](https://github.com/HdrHistogram) read them |
//! | `response.hgrm`, `service.hgrm` | percentiles of the whole run, in microseconds |
//! | `env.json` | the machine, the build and the revision |
//! | `report.html` | all of it on one page |
//!
//! A folder gets its name when it is whole; see [`folder`]. Everything here is written when the run is over: while it
//! runs, nothing touches the file system.

pub mod cgroup_limits;
pub mod environment;
pub mod folder;
pub mod interval_log;
pub mod machine;
mod repository;
pub mod timestamp;

pub use environment::Environment;
pub use folder::{FolderError, ResultFolder};
pub use mainspring_tuning::figures::hgrm;
