//! Every parser of a journal's files, as functions of arbitrary bytes.

pub mod parsers;
