//! A journal's directory on real file systems and between real processes.

mod full_journal;
mod image;
mod second_process;
mod space;
