//! What nodes say to each other about membership, as it travels.
//!
//! [`Word`] is small, but for a view that fits an ordinary message; a larger view travels as a [`LargeWord`], by the
//! connection for large messages, so that no heartbeat waits behind it. What an idle cluster says all the time is a
//! [`Pulse`]. Inside a view a member is named by its place in
//! the list of members.
//!
//! It promises that what is read is what was written, and that reading makes nothing that is larger than what came.
//! It refuses ([`WireError`]) what no view can be: members out of order, places that nobody has, more than the limits
//! of the [membership](crate::membership).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mainspring::frame::archive::write_boxed;
use mainspring::frame::{FOREIGN_PREFIX_BYTES, HEADER_BYTES};
use mainspring::prelude::*;

use super::introduction::Identity;
use crate::membership::{
    ArchivedStatus, ClusterMessage, Gossip, MEMBER_LIMIT, Member, MemberId, NackReason,
    Reachability, Row, Standing, Status, TOMBSTONE_LIMIT, VectorClock,
};

/// Views up to about so many bytes travel as a [`Word`].
const ORDINARY_VIEW_BYTES: usize = 64 << 10;

/// No message about membership is longer.
const ARCHIVE_LIMIT_BYTES: usize = 4 << 20;

/// A message about membership.
#[message(name = "mainspring.cluster.word")]
#[derive(Clone, Debug)]
pub enum Word {
    /// [`ClusterMessage::InitJoin`].
    InitJoin { from: Identity, configuration: Vec<Setting> },
    /// [`ClusterMessage::InitJoinAck`].
    InitJoinAck { from: Identity },
    /// [`ClusterMessage::InitJoinNack`].
    InitJoinNack { from: Identity, reason: Refusal },
    /// [`ClusterMessage::Join`].
    Join { id: Identity, roles: Vec<String>, app_version: String, configuration: Vec<Setting> },
    /// [`ClusterMessage::GossipStatus`].
    GossipStatus { from: Identity, to: Identity, clock: Vec<Changes>, digest: u64 },
    /// A view that is not large.
    View(View),
    /// [`ClusterMessage::ExitingConfirmed`].
    ExitingConfirmed { from: Identity },
}

/// What an idle cluster says all the time, as short as can be: 16 bytes. The sender is named by the number of its link,
/// and the receiver is the life whose actor gets it.
#[message(name = "mainspring.cluster.pulse")]
#[derive(Clone, Copy, Debug)]
pub enum Pulse {
    /// [`ClusterMessage::Heartbeat`].
    Beat { from: u32, sequence: u64 },
    /// [`ClusterMessage::HeartbeatReply`].
    Answer { from: u32, sequence: u64 },
    /// [`ClusterMessage::GossipDigest`].
    Digest { from: u32, digest: u64 },
}

/// A view that is large.
#[message(bulk, name = "mainspring.cluster.large_word")]
#[derive(Clone, Debug)]
pub struct LargeWord {
    pub view: View,
}

/// [`ClusterMessage::Welcome`] or [`ClusterMessage::GossipEnvelope`].
#[message(name = "mainspring.cluster.view")]
#[derive(Clone, Debug)]
pub struct View {
    pub from: Identity,
    pub to: Identity,
    pub is_welcome: bool,
    /// In order.
    pub members: Vec<Entry>,
    /// Places of members.
    pub seen: Vec<u16>,
    pub clock: Vec<PlaceChanges>,
    pub rows: Vec<RowEntry>,
    pub tombstones: Vec<Tombstone>,
}

/// A value that all members have to agree on.
#[message(name = "mainspring.cluster.setting")]
#[derive(Clone, Debug)]
pub struct Setting {
    pub name: String,
    pub value: String,
}

/// [`NackReason`].
#[message(name = "mainspring.cluster.refusal")]
#[derive(Clone, Debug)]
pub enum Refusal {
    NotInitialised,
    Leaving,
    ConfigurationDiffers { name: String, ours: Option<String>, theirs: Option<String> },
    Full { limit: u32 },
    TooLarge,
    LaterLife { incarnation: u64 },
}

/// A member of a view.
#[message(name = "mainspring.cluster.entry")]
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: Identity,
    pub status: Status,
    pub roles: Vec<String>,
    pub app_version: String,
    pub up_number: Option<u64>,
}

/// An entry of a clock on its own.
#[message(name = "mainspring.cluster.changes")]
#[derive(Clone, Copy, Debug)]
pub struct Changes {
    pub member: Identity,
    pub changes: u64,
}

/// An entry of the clock of a view.
#[message(name = "mainspring.cluster.place_changes")]
#[derive(Clone, Copy, Debug)]
pub struct PlaceChanges {
    pub place: u16,
    pub changes: u64,
}

/// What one observer says.
#[message(name = "mainspring.cluster.row")]
#[derive(Clone, Debug)]
pub struct RowEntry {
    pub observer: u16,
    pub version: u64,
    pub unreachable: Vec<u16>,
    pub terminated: Vec<u16>,
}

/// A member that was removed.
#[message(name = "mainspring.cluster.tombstone")]
#[derive(Clone, Copy, Debug)]
pub struct Tombstone {
    pub id: Identity,
    pub forgotten_in_ns: u64,
}

/// Why a message about membership is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// More of something than there may be.
    #[error("{count} {what} in a message about membership, where {limit} are the limit")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The members of a view are not in order, or one stands there twice.
    #[error("the members of a view are out of order")]
    OutOfOrder,
    /// A part of the view names a place that no member has.
    #[error("place {place} in a view of {members} members")]
    NoSuchPlace {
        /// The place.
        place: u16,
        /// Members of the view.
        members: usize,
    },
}

/// A message as it is sent.
#[derive(Clone, Debug)]
pub enum Outgoing {
    /// By the ordinary way.
    Small(Word),
    /// By the way for large messages.
    Large(LargeWord),
    /// By the ordinary way.
    Pulse(Pulse),
}

impl From<&ClusterMessage> for Outgoing {
    fn from(message: &ClusterMessage) -> Outgoing {
        let word = match message {
            ClusterMessage::InitJoin { from, configuration } => {
                Word::InitJoin { from: (*from).into(), configuration: settings_of(configuration) }
            }
            ClusterMessage::InitJoinAck { from } => Word::InitJoinAck { from: (*from).into() },
            ClusterMessage::InitJoinNack { from, reason } => {
                Word::InitJoinNack { from: (*from).into(), reason: reason.into() }
            }
            ClusterMessage::Join { id, roles, app_version, configuration } => Word::Join {
                id: (*id).into(),
                roles: roles.iter().cloned().collect(),
                app_version: app_version.clone(),
                configuration: settings_of(configuration),
            },
            ClusterMessage::GossipDigest { from, digest, .. } => {
                return Outgoing::Pulse(Pulse::Digest { from: link_of(from), digest: *digest });
            }
            ClusterMessage::GossipStatus { from, to, clock, digest } => {
                let changes = |(member, changes): (&MemberId, &u64)| Changes {
                    member: (*member).into(),
                    changes: *changes,
                };
                let clock = clock.entries().map(changes).collect();
                let (from, to) = ((*from).into(), (*to).into());
                Word::GossipStatus { from, to, clock, digest: *digest }
            }
            ClusterMessage::Welcome { from, to, gossip } => {
                return of_view(View::of(*from, *to, true, gossip));
            }
            ClusterMessage::GossipEnvelope { from, to, gossip } => {
                return of_view(View::of(*from, *to, false, gossip));
            }
            ClusterMessage::Heartbeat { from, sequence, .. } => {
                return Outgoing::Pulse(Pulse::Beat { from: link_of(from), sequence: *sequence });
            }
            ClusterMessage::HeartbeatReply { from, sequence, .. } => {
                return Outgoing::Pulse(Pulse::Answer { from: link_of(from), sequence: *sequence });
            }
            ClusterMessage::ExitingConfirmed { from } => {
                Word::ExitingConfirmed { from: (*from).into() }
            }
        };
        Outgoing::Small(word)
    }
}

/// The number of the links of this life: references to its actors have it.
fn link_of(id: &MemberId) -> u32 {
    id.incarnation as u32
}

fn of_view(view: View) -> Outgoing {
    match view.about_bytes() <= ORDINARY_VIEW_BYTES {
        true => Outgoing::Small(Word::View(view)),
        false => Outgoing::Large(LargeWord { view }),
    }
}

fn settings_of(configuration: &BTreeMap<String, String>) -> Vec<Setting> {
    let setting =
        |(name, value): (&String, &String)| Setting { name: name.clone(), value: value.clone() };
    configuration.iter().map(setting).collect()
}

impl View {
    fn of(from: MemberId, to: MemberId, is_welcome: bool, gossip: &Gossip) -> View {
        let places: BTreeMap<MemberId, u16> = gossip.members.keys().copied().zip(0..).collect();
        // Whoever has no place is no member: a view says nothing of strangers.
        let place = |id: &MemberId| places.get(id).copied();
        let row = |(observer, row): (&MemberId, &Row)| {
            let of = |wanted: Standing| {
                let standing = row.subjects.iter().filter(|(_, standing)| **standing == wanted);
                standing.filter_map(|(subject, _)| place(subject)).collect()
            };
            Some(RowEntry {
                observer: place(observer)?,
                version: row.version,
                unreachable: of(Standing::Unreachable),
                terminated: of(Standing::Terminated),
            })
        };
        let changes = |(member, changes): (&MemberId, &u64)| {
            Some(PlaceChanges { place: place(member)?, changes: *changes })
        };
        let tombstone = |(id, forgotten_in_ns): (&MemberId, &u64)| Tombstone {
            id: (*id).into(),
            forgotten_in_ns: *forgotten_in_ns,
        };
        View {
            from: from.into(),
            to: to.into(),
            is_welcome,
            members: gossip.members.values().map(Entry::from).collect(),
            seen: gossip.seen.iter().filter_map(place).collect(),
            clock: gossip.clock.entries().filter_map(changes).collect(),
            rows: gossip.reachability.rows().filter_map(row).collect(),
            tombstones: gossip.tombstones.iter().map(tombstone).collect(),
        }
    }

    /// Its length as an archive, or a little more.
    fn about_bytes(&self) -> usize {
        let of_name = |name: &String| 8 + name.len();
        let of_entry = |entry: &Entry| {
            let roles: usize = entry.roles.iter().map(of_name).sum();
            size_of::<<Entry as mainspring::rkyv::Archive>::Archived>()
                + roles
                + of_name(&entry.app_version)
        };
        let of_row = |row: &RowEntry| 32 + 2 * (row.unreachable.len() + row.terminated.len());
        let members: usize = self.members.iter().map(of_entry).sum();
        let rows: usize = self.rows.iter().map(of_row).sum();
        members + rows + 2 * self.seen.len() + 16 * self.clock.len() + 40 * self.tombstones.len()
    }
}

impl From<&Member> for Entry {
    fn from(member: &Member) -> Entry {
        Entry {
            id: member.id.into(),
            status: member.status,
            roles: member.roles.iter().cloned().collect(),
            app_version: member.app_version.clone(),
            up_number: member.up_number,
        }
    }
}

impl From<&NackReason> for Refusal {
    fn from(reason: &NackReason) -> Refusal {
        match reason {
            NackReason::NotInitialised => Refusal::NotInitialised,
            NackReason::Leaving => Refusal::Leaving,
            NackReason::ConfigurationDiffers { name, ours, theirs } => {
                let (ours, theirs) = (ours.clone(), theirs.clone());
                Refusal::ConfigurationDiffers { name: name.clone(), ours, theirs }
            }
            NackReason::Full { limit } => {
                Refusal::Full { limit: u32::try_from(*limit).unwrap_or(u32::MAX) }
            }
            NackReason::TooLarge => Refusal::TooLarge,
            NackReason::LaterLife { incarnation } => {
                Refusal::LaterLife { incarnation: *incarnation }
            }
        }
    }
}

impl TryFrom<&ArchivedWord> for ClusterMessage {
    type Error = WireError;

    fn try_from(word: &ArchivedWord) -> Result<ClusterMessage, WireError> {
        Ok(match word {
            ArchivedWord::InitJoin { from, configuration } => ClusterMessage::InitJoin {
                from: from.into(),
                configuration: configuration_of(configuration),
            },
            ArchivedWord::InitJoinAck { from } => ClusterMessage::InitJoinAck { from: from.into() },
            ArchivedWord::InitJoinNack { from, reason } => {
                ClusterMessage::InitJoinNack { from: from.into(), reason: reason.into() }
            }
            ArchivedWord::Join { id, roles, app_version, configuration } => ClusterMessage::Join {
                id: id.into(),
                roles: roles.iter().map(|role| role.as_str().to_owned()).collect(),
                app_version: app_version.as_str().to_owned(),
                configuration: configuration_of(configuration),
            },
            ArchivedWord::GossipStatus { from, to, clock, digest } => {
                within("entries of a clock", clock.len(), MEMBER_LIMIT)?;
                let changes = |entry: &ArchivedChanges| {
                    (MemberId::from(&entry.member), entry.changes.to_native())
                };
                ClusterMessage::GossipStatus {
                    from: from.into(),
                    to: to.into(),
                    clock: clock.iter().map(changes).collect(),
                    digest: digest.to_native(),
                }
            }
            ArchivedWord::View(view) => view.try_into()?,
            ArchivedWord::ExitingConfirmed { from } => {
                ClusterMessage::ExitingConfirmed { from: from.into() }
            }
        })
    }
}

impl TryFrom<&ArchivedView> for ClusterMessage {
    type Error = WireError;

    fn try_from(view: &ArchivedView) -> Result<ClusterMessage, WireError> {
        within("members", view.members.len(), MEMBER_LIMIT)?;
        within("tombstones", view.tombstones.len(), TOMBSTONE_LIMIT)?;
        let ids: Vec<MemberId> = view.members.iter().map(|entry| (&entry.id).into()).collect();
        if ids.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(WireError::OutOfOrder);
        }
        let id_at = |place: u16| {
            let members = ids.len();
            ids.get(usize::from(place)).copied().ok_or(WireError::NoSuchPlace { place, members })
        };
        let members = ids.iter().zip(view.members.iter());
        let seen = view.seen.iter().map(|place| id_at(place.to_native()));
        let clock = view.clock.iter().map(|entry| {
            Ok::<_, WireError>((id_at(entry.place.to_native())?, entry.changes.to_native()))
        });
        let mut rows = BTreeMap::new();
        for row in view.rows.iter() {
            let mut subjects = BTreeMap::new();
            for (places, standing) in
                [(&row.unreachable, Standing::Unreachable), (&row.terminated, Standing::Terminated)]
            {
                for place in places.iter() {
                    subjects.insert(id_at(place.to_native())?, standing);
                }
            }
            let version = row.version.to_native();
            rows.insert(id_at(row.observer.to_native())?, Row { version, subjects });
        }
        let tombstone = |entry: &ArchivedTombstone| {
            (MemberId::from(&entry.id), entry.forgotten_in_ns.to_native())
        };
        let gossip = Arc::new(Gossip {
            members: members.map(|(id, entry)| (*id, entry.member(*id))).collect(),
            seen: seen.collect::<Result<BTreeSet<_>, WireError>>()?,
            reachability: rows.into_iter().collect::<Reachability>(),
            clock: clock.collect::<Result<VectorClock, WireError>>()?,
            tombstones: view.tombstones.iter().map(tombstone).collect(),
        });
        let (from, to) = ((&view.from).into(), (&view.to).into());
        Ok(match view.is_welcome {
            true => ClusterMessage::Welcome { from, to, gossip },
            false => ClusterMessage::GossipEnvelope { from, to, gossip },
        })
    }
}

impl TryFrom<&ArchivedLargeWord> for ClusterMessage {
    type Error = WireError;

    fn try_from(word: &ArchivedLargeWord) -> Result<ClusterMessage, WireError> {
        (&word.view).try_into()
    }
}

impl ArchivedPulse {
    /// The number of the links of who says so.
    pub fn sender(&self) -> u32 {
        match self {
            ArchivedPulse::Beat { from, .. }
            | ArchivedPulse::Answer { from, .. }
            | ArchivedPulse::Digest { from, .. } => from.to_native(),
        }
    }

    /// The message, from one who has that number, to this node.
    pub fn message(&self, from: MemberId, to: MemberId) -> ClusterMessage {
        match self {
            ArchivedPulse::Beat { sequence, .. } => {
                ClusterMessage::Heartbeat { from, to, sequence: sequence.to_native() }
            }
            ArchivedPulse::Answer { sequence, .. } => {
                ClusterMessage::HeartbeatReply { from, to, sequence: sequence.to_native() }
            }
            ArchivedPulse::Digest { digest, .. } => {
                ClusterMessage::GossipDigest { from, to, digest: digest.to_native() }
            }
        }
    }
}

impl Outgoing {
    /// What it takes on a link that carries it in one frame: header, prefix and archive, padded. What the link adds
    /// for chunks of large messages is not in it.
    pub fn frame_bytes(&self) -> u64 {
        let archive = match self {
            Outgoing::Small(word) => write_boxed(word, ARCHIVE_LIMIT_BYTES),
            Outgoing::Large(word) => write_boxed(word, ARCHIVE_LIMIT_BYTES),
            Outgoing::Pulse(pulse) => write_boxed(pulse, ARCHIVE_LIMIT_BYTES),
        };
        let archive_bytes = archive.map_or(ARCHIVE_LIMIT_BYTES, |archive| archive.as_slice().len());
        (HEADER_BYTES + FOREIGN_PREFIX_BYTES + archive_bytes).next_multiple_of(HEADER_BYTES) as u64
    }
}

impl ArchivedEntry {
    fn member(&self, id: MemberId) -> Member {
        Member {
            id,
            status: Status::from(&self.status),
            roles: self.roles.iter().map(|role| role.as_str().to_owned()).collect(),
            app_version: self.app_version.as_str().to_owned(),
            up_number: self.up_number.as_ref().map(|number| number.to_native()),
        }
    }
}

impl From<&ArchivedStatus> for Status {
    fn from(status: &ArchivedStatus) -> Status {
        match status {
            ArchivedStatus::Joining => Status::Joining,
            ArchivedStatus::WeaklyUp => Status::WeaklyUp,
            ArchivedStatus::Up => Status::Up,
            ArchivedStatus::Leaving => Status::Leaving,
            ArchivedStatus::Exiting => Status::Exiting,
            ArchivedStatus::Down => Status::Down,
        }
    }
}

impl From<&ArchivedRefusal> for NackReason {
    fn from(refusal: &ArchivedRefusal) -> NackReason {
        match refusal {
            ArchivedRefusal::NotInitialised => NackReason::NotInitialised,
            ArchivedRefusal::Leaving => NackReason::Leaving,
            ArchivedRefusal::ConfigurationDiffers { name, ours, theirs } => {
                NackReason::ConfigurationDiffers {
                    name: name.as_str().to_owned(),
                    ours: ours.as_ref().map(|value| value.as_str().to_owned()),
                    theirs: theirs.as_ref().map(|value| value.as_str().to_owned()),
                }
            }
            ArchivedRefusal::Full { limit } => {
                NackReason::Full { limit: limit.to_native() as usize }
            }
            ArchivedRefusal::TooLarge => NackReason::TooLarge,
            ArchivedRefusal::LaterLife { incarnation } => {
                NackReason::LaterLife { incarnation: incarnation.to_native() }
            }
        }
    }
}

fn configuration_of(settings: &[ArchivedSetting]) -> BTreeMap<String, String> {
    let pair = |setting: &ArchivedSetting| {
        (setting.name.as_str().to_owned(), setting.value.as_str().to_owned())
    };
    settings.iter().map(pair).collect()
}

fn within(what: &'static str, count: usize, limit: usize) -> Result<(), WireError> {
    if count > limit { Err(WireError::TooMany { what, count, limit }) } else { Ok(()) }
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
