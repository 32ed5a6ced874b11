//! A journal's directory on real file systems and between real processes.

mod image;
mod second_process;
mod space;
