//! What decides about the links of a node: machines without sockets and without clocks.
//!
//! Each takes inputs and `now_ns`, and gives outputs; a driver moves the bytes. All times are nanoseconds of one
//! monotonic clock of this node. Everything that a peer can make grow has a limit, and what a peer claims is checked:
//! a claim that cannot be true is an error that ends the connection, never a panic.
//!
//! | module | what |
//! |---|---|
//! | [`chunks`] | large messages in pieces, in memory that was reserved before the first byte of them |
//! | [`connections`] | one connection for each purpose, also when both nodes dial at once |
//! | [`control_lane`] | frames that arrive once and in order, over any number of connections of two incarnations |
//! | [`credit`] | how many bytes may be under way; what a connection that ends may have lost |
//! | [`dialing`] | when to dial |
//! | [`events`] | what users see of their links |
//! | [`identity`] | node ids and incarnations |
//! | [`keepalive`] | a word at times on connections that have nothing to say |
//! | [`liveness`] | heartbeats, the round trip, suspicion, and when a peer is taken as gone |
//! | [`peers`] | who is let in: restarts, leftovers of earlier lives, collisions, quarantine |
//! | [`slow_peer`] | peers that do not take what is sent to them |
//! | [`wanted`] | which connections two nodes need, and between which cores |

pub mod chunks;
pub mod connections;
pub mod control_lane;
pub mod credit;
pub mod dialing;
pub mod events;
pub mod identity;
pub mod keepalive;
pub mod liveness;
pub mod peers;
pub mod slow_peer;
pub mod wanted;
