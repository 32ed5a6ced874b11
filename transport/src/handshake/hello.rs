//! The greeting: what a node says of itself first, in the clear.
//!
//! Its body, little-endian; offsets count from the end of the envelope:
//!
//! | bytes | field | meaning |
//! |---|---|---|
//! | 0–1 | oldest | oldest version spoken: minor, major |
//! | 2–3 | newest | newest version spoken: minor, major |
//! | 4 | flags | bit 0: has a key; bit 1: messages must carry checksums |
//! | 5 | lane | 0 ordinary, 1 control, 2 bulk |
//! | 6–7 | index | which of the lane's connections |
//! | 8–15 | features | one bit each; unknown ones are ignored |
//! | 16–31 | node id | |
//! | 32–35 | incarnation | |
//! | 36–39 | expected | the peer's incarnation that is expected; 0 for any |
//! | 40–47 | started at | nanoseconds since 1970 |
//! | 48–49 | cores | |
//! | 50 | system length | bytes of the system's name |
//! | 51 | name length | bytes of the node's name |
//! | 52–55 | max frame | the longest payload taken on the ordinary lane |
//! | 56–63 | initial credit | bytes that the peer may send at first |
//! | 64–71 | format | [`FORMAT_FINGERPRINT`] |
//! | 72–103 | nonce | 32 random bytes |
//! | 104– | system, name | UTF-8, one behind the other |
//!
//! Invariants: the versions stand first for ever, so that nodes without a common one can say so. What comes behind
//! the names belongs to a newer minor version and is ignored here, but is part of what is proved.

use mainspring::Archived;
use mainspring::message::Fingerprint;

use super::local_node::{Dialled, FRAME_LIMIT_MINIMUM_BYTES, LocalNode, is_number_of_cores};
use super::message::Kind;
use super::version::{Version, VersionRange};
use crate::wire::Lane;
use crate::wire::fields::{array_at, put, u16_at, u32_at, u64_at};

/// The most bytes of the name of a system or a node.
pub const NAME_LIMIT_BYTES: usize = 64;

/// Random bytes in a greeting.
pub const NONCE_BYTES: usize = 32;

/// How archives are laid out. Nodes with different ones cannot read each other's messages.
pub const FORMAT_FINGERPRINT: u64 = Fingerprint::of("rkyv 0.8, little-endian, aligned")
    .layout(size_of::<Archived<usize>>(), align_of::<Archived<usize>>())
    .layout(size_of::<Archived<u64>>(), align_of::<Archived<u64>>())
    .value();

const FIXED_BYTES: usize = 104;
const NONCE_OFFSET: usize = 72;
const FLAG_KEY: u8 = 1;
const FLAG_CHECKSUMS: u8 = 2;

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Versions that it speaks.
    pub versions: VersionRange,
    /// Whether it has a key.
    pub has_key: bool,
    /// Whether it wants checksums.
    pub checksums: bool,
    /// What the connection is for.
    pub lane: Lane,
    /// Which of the lane's connections it is.
    pub index: u16,
    /// What it can do beyond its version, one bit each.
    pub features: u64,
    /// Tells the node from all others, over all its lives.
    pub node_id: u128,
    /// This life of it.
    pub incarnation: u32,
    /// The life of this node that it expects; 0 for any.
    pub expected_incarnation: u32,
    /// When its life began, in nanoseconds since 1970, by its own clock.
    pub started_at_ns: u64,
    /// How many cores it has.
    pub cores: u16,
    /// The longest payload that it takes on the ordinary lane.
    pub max_frame_bytes: u32,
    /// Bytes that it takes on this connection before it gives credit for more.
    pub initial_credit_bytes: u64,
    /// How its archives are laid out.
    pub format: u64,
    /// 32 random bytes.
    pub nonce: [u8; NONCE_BYTES],
    /// The name of its system.
    pub system: String,
    /// Its own name.
    pub name: String,
}

impl Hello {
    /// What `node` says of itself on a connection.
    pub(crate) fn of(node: &LocalNode, dialled: Dialled, has_key: bool, nonce: [u8; 32]) -> Hello {
        Hello {
            versions: node.versions,
            has_key,
            checksums: node.checksums,
            lane: dialled.lane,
            index: dialled.index,
            features: node.features,
            node_id: node.node_id,
            incarnation: node.incarnation,
            expected_incarnation: dialled.expected_incarnation,
            started_at_ns: node.started_at_ns,
            cores: node.cores,
            max_frame_bytes: node.max_frame_bytes,
            initial_credit_bytes: node.initial_credit_bytes,
            format: FORMAT_FINGERPRINT,
            nonce,
            system: node.system.clone(),
            name: node.name.clone(),
        }
    }

    /// The whole message. The names were checked to be short.
    pub(super) fn message(&self) -> Vec<u8> {
        let mut body = vec![0; FIXED_BYTES];
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = flag(self.has_key, FLAG_KEY) | flag(self.checksums, FLAG_CHECKSUMS);
        put(&mut body, 0, &self.versions.oldest.code().to_le_bytes());
        put(&mut body, 2, &self.versions.newest.code().to_le_bytes());
        put(&mut body, 4, &[flags, self.lane.code()]);
        put(&mut body, 6, &self.index.to_le_bytes());
        put(&mut body, 8, &self.features.to_le_bytes());
        put(&mut body, 16, &self.node_id.to_le_bytes());
        put(&mut body, 32, &self.incarnation.to_le_bytes());
        put(&mut body, 36, &self.expected_incarnation.to_le_bytes());
        put(&mut body, 40, &self.started_at_ns.to_le_bytes());
        put(&mut body, 48, &self.cores.to_le_bytes());
        put(&mut body, 50, &[self.system.len() as u8, self.name.len() as u8]);
        put(&mut body, 52, &self.max_frame_bytes.to_le_bytes());
        put(&mut body, 56, &self.initial_credit_bytes.to_le_bytes());
        put(&mut body, 64, &self.format.to_le_bytes());
        put(&mut body, NONCE_OFFSET, &self.nonce);
        body.extend_from_slice(self.system.as_bytes());
        body.extend_from_slice(self.name.as_bytes());
        Kind::Hello.message(&body)
    }

    /// The versions in a body, which every version has at the same place.
    pub(super) fn versions_in(body: &[u8]) -> Option<VersionRange> {
        let newest = Version::from_code(u16_at(body, 2));
        let oldest = Version::from_code(u16_at(body, 0));
        (body.len() >= 4).then_some(VersionRange { oldest, newest })
    }

    /// The greeting in a body of a version that this node speaks.
    pub(super) fn read(body: &[u8]) -> Result<Hello, &'static str> {
        let versions = Hello::versions_in(body).ok_or("a hello without versions")?;
        if body.len() < FIXED_BYTES {
            return Err("a hello that is too short");
        }
        let (flags, cores, max_frame_bytes) = (body[4], u16_at(body, 48), u32_at(body, 52));
        let incarnation = u32_at(body, 32);
        if flags & !(FLAG_KEY | FLAG_CHECKSUMS) != 0 {
            return Err("a hello with unknown flags");
        }
        let (system_end, name_bytes) = (FIXED_BYTES + usize::from(body[50]), usize::from(body[51]));
        Ok(Hello {
            versions,
            has_key: flags & FLAG_KEY != 0,
            checksums: flags & FLAG_CHECKSUMS != 0,
            lane: Lane::from_code(body[5]).ok_or("a hello for an unknown lane")?,
            index: u16_at(body, 6),
            features: u64_at(body, 8),
            node_id: u128::from_le_bytes(array_at(body, 16)),
            incarnation: checked(incarnation, incarnation != 0, "a hello of incarnation 0")?,
            expected_incarnation: u32_at(body, 36),
            started_at_ns: u64_at(body, 40),
            cores: checked(
                cores,
                is_number_of_cores(cores),
                "a hello of so many cores as no node has",
            )?,
            max_frame_bytes: checked(
                max_frame_bytes,
                max_frame_bytes >= FRAME_LIMIT_MINIMUM_BYTES,
                "a hello of a node whose frames are too short",
            )?,
            initial_credit_bytes: u64_at(body, 56),
            format: u64_at(body, 64),
            nonce: array_at(body, NONCE_OFFSET),
            system: name_at(body, FIXED_BYTES, system_end)?,
            name: name_at(body, system_end, system_end + name_bytes)?,
        })
    }
}

/// Whether a name is of 1 to [`NAME_LIMIT_BYTES`] bytes, none of which could disturb a log.
pub(super) fn is_name(name: &str) -> bool {
    (1..=NAME_LIMIT_BYTES).contains(&name.len()) && !name.chars().any(char::is_control)
}

fn name_at(body: &[u8], from: usize, to: usize) -> Result<String, &'static str> {
    let name = body.get(from..to).and_then(|name| std::str::from_utf8(name).ok());
    let name = name.filter(|name| is_name(name)).ok_or("a hello with a name that is none")?;
    Ok(name.to_owned())
}

fn checked<T>(value: T, right: bool, wrong: &'static str) -> Result<T, &'static str> {
    if right { Ok(value) } else { Err(wrong) }
}
