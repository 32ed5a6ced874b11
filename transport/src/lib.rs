//! Frames between nodes at wire speed.
//!
//! | module | what |
//! |---|---|
//! | [`handshake`] | the first bytes of a connection: who is there, and with which key |
//! | [`link`] | what decides about links: credit, control frames, dialling, liveness, who is let in |
//! | [`wire`] | the bytes of a connection after its handshake: frames, and the decoder of foreign bytes |
#![forbid(unsafe_code)]

pub mod handshake;
pub mod link;
pub mod wire;
