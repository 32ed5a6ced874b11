//! What holds the machine to its promises: laws of merging on arbitrary views, and clusters in virtual time.

mod laws;
mod scenarios;
