//! Files that hold a mask of CPUs on which the kernel may do some work.

use super::{Case, Seen};
use crate::cpu_set::CpuSet;
use crate::finding::Change;

/// Compares a mask with the CPUs for housekeeping: as wanted when no shard is in it.
pub(super) fn spares_shards(case: &Case, path: &str) -> Seen {
    let text = match case.facts.reading(path) {
        Ok(text) => text.trim(),
        Err(error) => return Seen::unreadable(path, format!("{path} {error}")),
    };
    let mask = match CpuSet::from_mask(text) {
        Ok(mask) => mask,
        Err(error) => return Seen::unreadable(path, format!("{path} is malformed: {error}")),
    };
    // The mask may name CPUs that the machine could have but has not.
    let used = mask.intersection(&case.facts.topology().online());
    let change = Change::Write {
        path: path.to_owned(),
        value: case.roles.housekeeping.to_mask(bits(text)),
        restore: text.to_owned(),
    };
    let is_ok = used.intersection(&case.roles.shards).is_empty();
    Seen::either(is_ok, used.to_string(), path, [change])
}

/// How many CPUs a mask of this length has room for.
pub(super) fn bits(mask: &str) -> u32 {
    mask.bytes().filter(u8::is_ascii_hexdigit).count() as u32 * 4
}
