//! What carries a core's journal out on real files. The machines of [`device`](crate::device) and
//! [`log`](mod@crate::log) know nothing of it.

mod file_storage;
pub mod index_files;
mod librarian;

pub use file_storage::{FileStorage, LogFolder};
