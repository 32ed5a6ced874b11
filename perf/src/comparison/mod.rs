//! mainspring beside others: the raw limit and peers (`compare`), or another revision of itself (`pair`).
//!
//! It promises that all contestants did the same work: each round is a process that was given the same CPUs, and its
//! report is believed only when its sum is right. It refuses to compare figures of different moments: every ratio is
//! that of two rounds of the same block. A peer that is wrong, fails or hangs is out with its reason and spoils
//! nothing.
//!
//! | module | what |
//! |---|---|
//! | [`peer`], [`line_up`] | who takes part |
//! | [`contestant`], [`child`] | one round, as a process |
//! | [`sizing`], [`contest`] | how many messages, and all rounds |
//! | [`result`], [`pair`] | what it came to |

pub mod child;
pub mod contest;
pub mod contestant;
pub mod line_up;
pub mod pair;
pub mod peer;
pub mod result;
pub mod sizing;
