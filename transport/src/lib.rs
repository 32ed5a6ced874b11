//! Links between nodes, whose actors are reached as those at home, and TCP servers whose connections are actors.
//!
//! | module | what |
//! |---|---|
//! | [`handshake`] | the first bytes of a connection: who is there, and with which key |
//! | [`ingress`] | TCP servers: each connection is an actor ([`Ingress`]) |
//! | [`node`] | a node's links as an extension of it: [`Transport`] |
//! | [`link`] | what decides about links: credit, control frames, dialling, liveness, who is let in |
//! | [`testkit`] | a network for simulations, and nodes that are linked by it |
//! | `tls` | TLS 1.3 below both, with feature `tls` |
//! | [`wire`] | the bytes of a connection after its handshake: frames, and the decoder of foreign bytes |
#![deny(unsafe_code)]

pub mod handshake;
pub mod ingress;
pub mod link;
pub mod node;
pub mod testkit;
#[cfg(feature = "tls")]
pub mod tls;
#[allow(unsafe_code)]
mod trust;
pub mod wire;

pub use ingress::Ingress;
pub use node::{ConnectError, LinkFigures, LinkedNode, Links, Transport, TransportError};

/// The code of the page about links is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/links.md")]
pub struct LinksPage;

/// The code of the page about servers is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/ingress.md")]
pub struct IngressPage;
