//! What was decided, why, and on what view: a line that an operator understands.

use std::fmt;

use super::settings::Strategy;
use super::view::{View, write_members};
use crate::membership::MemberId;

/// Who goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Those that are reached from here.
    KeepReachable,
    /// Those that are not reached from here.
    KeepUnreachable,
    /// Nobody.
    KeepNone,
}

/// The reason of a verdict, with the numbers it was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// So many are reached of the quorum.
    Quorum {
        /// Full members that are reached.
        reachable: usize,
        /// So many are needed.
        quorum: u32,
    },
    /// Two sides could have a quorum.
    TooManyForQuorum {
        /// Full members.
        members: usize,
        /// Of which so many are a quorum.
        quorum: u32,
    },
    /// Sides of different sizes.
    Majority {
        /// Full members that are reached.
        reachable: usize,
        /// Full members that are not.
        unreachable: usize,
    },
    /// Sides of one size: the lowest address decides.
    Tie {
        /// So many on each side.
        each: usize,
        /// The lowest address.
        lowest: MemberId,
    },
    /// The side of the oldest.
    Oldest {
        /// Who that is.
        oldest: MemberId,
        /// Whether it is cut off from two or more, and therefore gives up.
        is_alone: bool,
    },
    /// The other side may count members that were joining or leaving otherwise, and both would go on.
    ChangesUnderWay,
    /// No full member has the role that is counted.
    NobodyCounts,
    /// The strategy is to down all.
    AlwaysAll,
    /// The view went on changing.
    Unstable {
        /// For so many nanoseconds.
        for_ns: u64,
    },
    /// The lease was got.
    LeaseAcquired,
    /// Somebody else has the lease.
    LeaseRefused,
    /// Nobody answered about the lease.
    LeaseUnanswered,
    /// Everybody is reached by somebody that is reached: only links between members are broken.
    OnlyIndirect,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quorum { reachable, quorum } => {
                write!(f, "{reachable} reached, quorum {quorum}")
            }
            Self::TooManyForQuorum { members, quorum } => {
                write!(f, "{members} members are too many for a quorum of {quorum}")
            }
            Self::Majority { reachable, unreachable } => {
                write!(f, "{reachable} reached, {unreachable} not")
            }
            Self::Tie { each, lowest } => {
                write!(f, "{each} on each side, the lowest address is {lowest}")
            }
            Self::Oldest { oldest, is_alone: false } => write!(f, "the oldest is {oldest}"),
            Self::Oldest { oldest, is_alone: true } => write!(f, "the oldest, {oldest}, is alone"),
            Self::ChangesUnderWay => f.write_str(
                "members were joining or leaving, and the other side may count otherwise",
            ),
            Self::NobodyCounts => f.write_str("no full member has the role that is counted"),
            Self::AlwaysAll => f.write_str("some are not reached"),
            Self::Unstable { for_ns } => {
                write!(f, "the view went on changing for {} ms", for_ns / 1_000_000)
            }
            Self::LeaseAcquired => f.write_str("this side has the lease"),
            Self::LeaseRefused => f.write_str("somebody else has the lease"),
            Self::LeaseUnanswered => f.write_str("nobody answered about the lease"),
            Self::OnlyIndirect => f.write_str("every member is reached by somebody"),
        }
    }
}

/// Which members are to go down, and all that led to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Those that are to go down, by address. It may hold the node that decides.
    pub down: Vec<MemberId>,
    /// Who goes on, but for those that are reached only indirectly.
    pub verdict: Verdict,
    /// Why.
    pub why: Why,
    /// Those of `down` that others reach and others do not.
    pub indirectly_connected: Vec<MemberId>,
    /// The strategy by which it was decided.
    pub strategy: Strategy,
    /// The view on which it was decided.
    pub view: View,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = match self.verdict {
            Verdict::KeepReachable => "keeps the members that are reached from here",
            Verdict::KeepUnreachable => "keeps the other side, this one goes down",
            Verdict::KeepNone => "keeps nobody",
        };
        write!(f, "{}", self.strategy)?;
        if let Some(role) = self.strategy.role() {
            write!(f, " among {role}")?;
        }
        write!(f, " {kept} ({}); down: ", self.why)?;
        write_members(f, &self.down)?;
        if !self.indirectly_connected.is_empty() {
            f.write_str("; of these only indirectly connected: ")?;
            write_members(f, &self.indirectly_connected)?;
        }
        Ok(())
    }
}
