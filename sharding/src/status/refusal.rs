//! Why a request is not answered as it wished, and with which number HTTP says so.

use super::request::{BODY_LIMIT_BYTES, HEAD_LIMIT_BYTES, TARGET_LIMIT_BYTES};
use super::token::TOKEN_LEAST_BYTES;
use crate::cluster::ClusterRequestError;
use crate::node::ShardRequestError;

/// See the [module](self).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("this is no request: {why}")]
    Malformed { why: String },
    #[error("a path has at most {TARGET_LIMIT_BYTES} bytes")]
    TargetTooLong,
    #[error("the head of a request has at most {HEAD_LIMIT_BYTES} bytes, and 64 headers")]
    HeadTooLarge,
    #[error("a body has at most {BODY_LIMIT_BYTES} bytes; no action needs one")]
    BodyTooLarge,
    #[error("a body has to come with its Content-Length; no action needs one")]
    BodyOfUnknownLength,
    #[error("the request did not arrive in time")]
    TooSlow,
    #[error("there is nothing at {path}; look at / for what there is")]
    UnknownPath { path: String },
    #[error("this is for {allowed}")]
    WrongMethod { allowed: &'static str },
    #[error(
        "this server only shows; for actions it needs a token of {TOKEN_LEAST_BYTES} bytes: StatusServer::token_file"
    )]
    NoActions,
    #[error("an action needs the token of this server: Authorization: Bearer TOKEN")]
    WrongToken,
    #[error("{text:?} is no incarnation of a member: a number, as /members shows it")]
    NoIncarnation { text: String },
    #[error("{text:?} is no shard: a number from 0")]
    NoShard { text: String },
    #[error("a move needs its place, ?to=INCARNATION/CORE, not {text:?}")]
    NoPlace { text: String },
    #[error("this status server was not given the entities of its node: StatusServer::entities")]
    NoEntities,
    #[error(transparent)]
    Cluster(#[from] ClusterRequestError),
    #[error(transparent)]
    Shards(#[from] ShardRequestError),
}

impl Refusal {
    /// The number, with the phrase that belongs to it.
    pub fn status(&self) -> (u16, &'static str) {
        match self {
            Refusal::Malformed { .. }
            | Refusal::NoIncarnation { .. }
            | Refusal::NoShard { .. }
            | Refusal::NoPlace { .. } => (400, "Bad Request"),
            Refusal::NoActions | Refusal::WrongToken => (403, "Forbidden"),
            Refusal::NoEntities => (409, "Conflict"),
            Refusal::UnknownPath { .. } => (404, "Not Found"),
            Refusal::WrongMethod { .. } => (405, "Method Not Allowed"),
            Refusal::TooSlow => (408, "Request Timeout"),
            Refusal::BodyOfUnknownLength => (411, "Length Required"),
            Refusal::BodyTooLarge => (413, "Content Too Large"),
            Refusal::TargetTooLong => (414, "URI Too Long"),
            Refusal::HeadTooLarge => (431, "Request Header Fields Too Large"),
            Refusal::Cluster(error) => match error {
                ClusterRequestError::UnknownMember { .. } => (404, "Not Found"),
                ClusterRequestError::NoMember => (409, "Conflict"),
                ClusterRequestError::TooMany => (503, "Service Unavailable"),
            },
            Refusal::Shards(error) => match error {
                ShardRequestError::UnknownType { .. } | ShardRequestError::UnknownShard { .. } => {
                    (404, "Not Found")
                }
                ShardRequestError::NotClustered => (409, "Conflict"),
                ShardRequestError::TooMany { .. } => (503, "Service Unavailable"),
            },
        }
    }
}
