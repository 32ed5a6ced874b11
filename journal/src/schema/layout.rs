//! What a payload is known by, and which of a program's types reads it.

use std::fmt;

use mainspring::Archived;
use rkyv::rend::u64_le;

use super::SchemaError;

/// The name, version and fields that a payload was written with. It stands once in each segment's dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Layout {
    /// As in `#[event(name = "account.deposited", ..)]`.
    pub name: &'static str,
    /// As in `#[event(.., version = 1)]`.
    pub version: u16,
    /// Equal only for types with the same names, fields, order and archived form.
    pub fingerprint: u64,
}

/// One of the types that a set of events, or a state, can read: found once for each layout of a segment's dictionary
/// and used for every record of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reader {
    /// Its place in the list of what is readable.
    index: u16,
    /// Half of the fingerprint that it reads: tells it from the readers of other types.
    mark: u32,
}

// How archives are laid out is chosen by features of rkyv for the whole build, so a dependency could change it. These
// are the three that segment headers state as `ARCHIVE_LAYOUT`: another choice does not compile.
const _: () = assert!(size_of::<Archived<Vec<u8>>>() == 8, "relative pointers have 32 bits");
const _: () = assert!(align_of::<Archived<u64>>() == 8, "archives are aligned");
const _: fn(Archived<u64>) -> u64_le = |little_endian| little_endian;

/// The most types that one set of events can read, current and older ones together.
const READERS_LIMIT: usize = u16::MAX as usize;

impl Reader {
    /// The reader for a layout, out of those that there are.
    pub(super) fn find(
        readable: &[Layout],
        name: &str,
        version: u16,
        fingerprint: u64,
    ) -> Result<Reader, SchemaError> {
        let is_meant = |layout: &Layout| layout.name == name && layout.version == version;
        let Some(index) = readable.iter().position(is_meant) else {
            return Err(not_readable(readable, name, version));
        };
        let layout = readable[index];
        if layout.fingerprint != fingerprint {
            return Err(SchemaError::Layout {
                name: layout.name,
                version,
                expected: layout.fingerprint,
                found: fingerprint,
            });
        }
        Ok(Reader::of(layout, index))
    }

    /// The reader of a layout that stands at a place of the list of what is readable.
    pub(super) fn of(layout: Layout, index: usize) -> Reader {
        // `assert_reader` keeps every list shorter than what the number can tell apart.
        Reader { index: index as u16, mark: layout.fingerprint as u32 }
    }

    /// Its place in the list of what is readable; none if it was found in another list.
    #[doc(hidden)]
    #[inline]
    pub fn index_in(self, readable: &[Layout]) -> Option<usize> {
        let index = usize::from(self.index);
        let layout = readable.get(index)?;
        (layout.fingerprint as u32 == self.mark).then_some(index)
    }
}

/// As it stands in `events.lock`.
impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:016x}", self.name, self.version, self.fingerprint)
    }
}

/// Why no reader suits.
fn not_readable(readable: &[Layout], name: &str, version: u16) -> SchemaError {
    let newest = readable.iter().filter(|layout| layout.name == name).max_by_key(|l| l.version);
    match newest {
        None => SchemaError::Unknown { name: name.into() },
        Some(known) if known.version < version => {
            SchemaError::Newer { name: known.name, found: version, known: known.version }
        }
        Some(known) => {
            SchemaError::Older { name: known.name, found: version, known: known.version }
        }
    }
}

/// Evaluated by the compiler for each reader: fails where the reader at `index` could never be found, or is older
/// than what it is made into. The first `current` readers are those of types that are written.
#[doc(hidden)]
pub const fn assert_reader(readable: &[Layout], current: usize, index: usize) {
    if let Some(conflict) = conflict(readable, current, index) {
        panic!("{}", conflict);
    }
}

/// What is wrong with a reader beside those in front of it.
const fn conflict(readable: &[Layout], current: usize, index: usize) -> Option<&'static str> {
    if readable.len() > READERS_LIMIT {
        return Some("more types than readers can be numbered");
    }
    let layout = readable[index];
    let mut earlier = 0;
    while earlier < index {
        let other = readable[earlier];
        if same(other.name, layout.name) {
            if index < current {
                return Some(
                    "two variants have the same event name: keep the newest version as the variant, and name the \
                     older one in `upcast(..)`",
                );
            }
            if other.version == layout.version {
                return Some(
                    "two types claim the same name and version: give the newer one a higher version",
                );
            }
            if earlier < current && other.version < layout.version {
                return Some("`upcast(..)` names a version that is newer than the current one");
            }
        }
        earlier += 1;
    }
    None
}

/// `==` for the compiler.
const fn same(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    if left.len() != right.len() {
        return false;
    }
    let mut at = 0;
    while at < left.len() {
        if left[at] != right[at] {
            return false;
        }
        at += 1;
    }
    true
}
