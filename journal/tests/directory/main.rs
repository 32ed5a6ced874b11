//! A journal's directory on real file systems and between real processes.

mod failing_segments;
mod folder;
mod full_journal;
mod image;
mod index_files;
mod notebook;
mod second_process;
mod space;
