//! Frames between nodes at wire speed.
//!
//! | module | what |
//! |---|---|
//! | [`wire`] | the bytes of a connection after its handshake: frames, and the decoder of foreign bytes |
#![forbid(unsafe_code)]

pub mod wire;
