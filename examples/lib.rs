//! What more than one of the example programs needs: where a run keeps its data, and where its warnings go.

pub mod run_directory;
pub mod warnings;
