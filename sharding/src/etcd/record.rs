//! Keys and values: what a node writes into etcd, for nodes and for people.
//!
//! Values are lines of a name and a value; names that are not known are passed over, so a later version may add some.
//! Nothing that is read is trusted: what does not parse is nobody's record.

use std::sync::Arc;

use crate::ownership::{Epoch, NamedLease, NodeRecord, Ownership, Place};

/// Where the records of a cluster are.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

/// What a key is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// The presence of a node.
    Node(u64),
    /// The owner of a shard of a type.
    Owner(String, u32),
    /// Who has a lease by this name.
    Lease(String),
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Keys {
        Keys { prefix: prefix.to_owned() }
    }

    /// All keys of the cluster begin with it.
    pub(super) fn all(&self) -> String {
        format!("{}/", self.prefix)
    }

    pub(super) fn nodes(&self) -> String {
        format!("{}/node/", self.prefix)
    }

    pub(super) fn node(&self, incarnation: u64) -> String {
        format!("{}/node/{incarnation:016x}", self.prefix)
    }

    pub(super) fn owners(&self) -> String {
        format!("{}/own/", self.prefix)
    }

    /// Shards of a type; of a type whose name begins with this one and a slash, too.
    pub(super) fn owners_of(&self, entity_type: &str) -> String {
        format!("{}/own/{entity_type}/", self.prefix)
    }

    pub(super) fn owner(&self, entity_type: &str, shard: u32) -> String {
        format!("{}/own/{entity_type}/{shard}", self.prefix)
    }

    pub(super) fn lease(&self, name: &str) -> String {
        format!("{}/lease/{name}", self.prefix)
    }

    /// What a key is about; none if no node writes it.
    pub(super) fn read(&self, key: &[u8]) -> Option<Key> {
        let key = std::str::from_utf8(key).ok()?;
        let rest = key.strip_prefix(&self.prefix)?.strip_prefix('/')?;
        if let Some(incarnation) = rest.strip_prefix("node/") {
            let incarnation = u64::from_str_radix(incarnation, 16).ok()?;
            return (key == self.node(incarnation)).then_some(Key::Node(incarnation));
        }
        if let Some(name) = rest.strip_prefix("lease/") {
            return Some(Key::Lease(name.to_owned()));
        }
        let (entity_type, shard) = rest.strip_prefix("own/")?.rsplit_once('/')?;
        let shard = shard.parse().ok()?;
        (key == self.owner(entity_type, shard)).then(|| Key::Owner(entity_type.to_owned(), shard))
    }
}

pub(super) fn node_value(node: &NodeRecord) -> String {
    format!("address {}\n", node.address)
}

pub(super) fn read_node(incarnation: u64, value: &[u8]) -> Option<NodeRecord> {
    let address = field(value, "address")?.to_owned();
    Some(NodeRecord { incarnation, address })
}

pub(super) fn owner_value(owner: Place, given_by: Option<Place>) -> String {
    match given_by {
        Some(giver) => format!("owner {owner}\ngiven_by {giver}\n"),
        None => format!("owner {owner}\n"),
    }
}

/// The record of a shard, whose epoch is the revision of its key.
pub(super) fn read_owner(value: &[u8], revision: i64) -> Option<Ownership<Place>> {
    let epoch = Epoch(u64::try_from(revision).ok()?);
    let owner = place(field(value, "owner")?)?;
    let given_by = match field(value, "given_by") {
        Some(giver) => Some(place(giver)?),
        None => None,
    };
    Some(Ownership { owner, epoch, given_by })
}

pub(super) fn lease_value(lease: &NamedLease) -> String {
    format!("holder {:016x}\nrequest {}\n", lease.incarnation, lease.request)
}

/// Who has a lease of that name.
pub(super) fn read_lease(name: &Arc<str>, value: &[u8]) -> Option<NamedLease> {
    let incarnation = u64::from_str_radix(field(value, "holder")?, 16).ok()?;
    let request = field(value, "request")?.parse().ok()?;
    Some(NamedLease { name: Arc::clone(name), incarnation, request })
}

fn field<'a>(value: &'a [u8], name: &str) -> Option<&'a str> {
    let text = std::str::from_utf8(value).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// As a place shows itself.
fn place(text: &str) -> Option<Place> {
    let (incarnation, core) = text.split_once('/')?;
    let incarnation = u64::from_str_radix(incarnation, 16).ok()?;
    Some(Place { incarnation, core: core.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            entity_type in "[a-z/ .]{1,12}", shard: u32, from: (u64, u16), to: (u64, u16), gave: bool,
            revision in 1..i64::MAX,
        ) {
            let keys = Keys::new("some/cluster");
            let key = Key::Owner(entity_type.clone(), shard);
            prop_assert_eq!(keys.read(keys.owner(&entity_type, shard).as_bytes()), Some(key));
            prop_assert_eq!(keys.read(keys.node(from.0).as_bytes()), Some(Key::Node(from.0)));
            let owner = Place { incarnation: to.0, core: to.1 };
            let given_by = gave.then_some(Place { incarnation: from.0, core: from.1 });
            let record = Ownership { owner, epoch: Epoch(revision as u64), given_by };
            let value = owner_value(owner, given_by);
            prop_assert_eq!(read_owner(value.as_bytes(), revision), Some(record));
            let key = Key::Lease(entity_type.clone());
            prop_assert_eq!(keys.read(keys.lease(&entity_type).as_bytes()), Some(key));
            let name: Arc<str> = Arc::from(entity_type);
            let lease = NamedLease { name: name.clone(), incarnation: from.0, request: to.0 };
            let value = lease_value(&lease);
            prop_assert_eq!(read_lease(&name, value.as_bytes()), Some(lease));
        }

        #[test]
        fn what_others_wrote_is_nobodys_record(key: Vec<u8>, value: Vec<u8>) {
            let keys = Keys::new("p");
            prop_assert_eq!(keys.read(&key), None);
            let _ = read_owner(&value, 1);
            let _ = read_node(1, &value);
            let _ = read_lease(&Arc::from("x"), &value);
        }
    }

    #[test]
    fn keys_that_no_node_writes_are_not_read() {
        let keys = Keys::new("p");
        for key in
            ["p/node/1", "p/node/+000000000000001", "p/own/a/01", "p/own/5", "p/x", "q/own/a/1"]
        {
            assert_eq!(keys.read(key.as_bytes()), None, "{key}");
        }
    }

    #[test]
    fn a_field_of_a_later_version_is_passed_over() {
        let record = read_owner(b"owner 1f/2\nsealed yes\n", 7).unwrap();
        assert_eq!(record.owner, Place { incarnation: 31, core: 2 });
        assert_eq!((record.epoch, record.given_by), (Epoch(7), None));
        assert_eq!(read_owner(b"owner 1f\n", 7), None);
        assert_eq!(read_owner(b"owner 1f/2\ngiven_by nobody\n", 7), None);
    }
}
