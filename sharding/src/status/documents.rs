//! What is shown as JSON, to the command line too.
//!
//! Incarnations have 64 bits, more than a number of JSON keeps in many programs, so they are texts of decimal digits.

use serde::{Deserialize, Serialize};

/// `/node`: this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeDocument {
    /// What its program calls it, where the server was started with the node.
    pub name: Option<String>,
    pub cores: Option<u16>,
    pub mainspring_version: String,
    /// This node as a member; none before it is let in.
    pub member: Option<MemberDocument>,
    pub leader: Option<LeaderDocument>,
    pub members: usize,
    pub unreachable_members: usize,
    pub is_ready: bool,
    pub not_ready_because: Option<String>,
    /// Why a seed did not let it in.
    pub refusal: Option<String>,
    /// Why it is no member any more, or about to be none.
    pub stopping: Option<String>,
}

/// Who acts for all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeaderDocument {
    pub address: String,
    pub incarnation: String,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MemberDocument {
    pub address: String,
    pub incarnation: String,
    pub status: String,
    pub is_reachable: bool,
    pub roles: Vec<String>,
    pub app_version: String,
    pub up_number: Option<u64>,
    pub is_leader: bool,
    pub is_this_node: bool,
}

/// `/members`: all of them, by address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MembersDocument {
    pub members: Vec<MemberDocument>,
}

/// `/shards`: every type, and how many of its shards are where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TypesDocument {
    pub types: Vec<TypeDocument>,
}

/// A type in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TypeDocument {
    pub name: String,
    pub shards: usize,
    /// Shards whose owner is not known.
    pub unowned: usize,
    pub places: Vec<PlaceDocument>,
}

/// A core of a member, and what it has of a type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlaceDocument {
    /// None if it is no member any more.
    pub address: Option<String>,
    pub incarnation: String,
    pub core: u16,
    pub shards: usize,
}

/// `/shards/TYPE`: each shard of a type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShardsDocument {
    pub name: String,
    pub shards: Vec<ShardDocument>,
}

/// A shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShardDocument {
    pub shard: usize,
    pub owner: Option<OwnerDocument>,
}

/// Where a shard is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnerDocument {
    pub address: Option<String>,
    pub incarnation: String,
    pub core: u16,
    pub epoch: u64,
}

/// `/health/..`: whether it is as asked, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HealthDocument {
    pub is_well: bool,
    pub why_not: Option<String>,
}

/// What was asked for was handed on; it has not happened yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AcceptedDocument {
    pub accepted: String,
}

/// Nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ErrorDocument {
    pub error: String,
}
