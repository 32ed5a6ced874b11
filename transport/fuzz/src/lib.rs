//! Every parser of bytes from a peer, as functions of arbitrary bytes.

pub mod parsers;
