//! Paths with open parts, such as `/sys/devices/system/cpu/cpu#/online`: one for each CPU.
//!
//! In a part of the path `#` stands for a decimal number and `*` for any text, at most one of them in each part. A path
//! that ends with `/` names a directory, of which the names inside are meant.

/// What stands for the open parts of a path that fits.
pub(crate) type Captures = Vec<String>;

/// What the open parts stand for in `path`; `None` when the path does not fit the pattern.
pub(crate) fn captures(pattern: &str, path: &str) -> Option<Captures> {
    let mut found = Vec::new();
    let mut parts = path.split('/');
    for expected in pattern.split('/') {
        let part = parts.next()?;
        if let Some(name) = part_capture(expected, part)? {
            found.push(name.to_owned());
        }
    }
    parts.next().is_none().then_some(found)
}

/// Whether the part of a pattern is open.
pub(crate) fn is_open(part: &str) -> bool {
    part.contains(['#', '*'])
}

/// What the open part stands for in `part`; inside, `None` when nothing is open.
pub(crate) fn part_capture<'a>(expected: &str, part: &'a str) -> Option<Option<&'a str>> {
    let Some(at) = expected.find(['#', '*']) else {
        return (expected == part).then_some(None);
    };
    let (before, after) = (&expected[..at], &expected[at + 1..]);
    let inside = part.strip_prefix(before)?.strip_suffix(after)?;
    let is_number = !inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_digit());
    (is_number || expected.as_bytes()[at] == b'*').then_some(Some(inside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_parts_are_captured_and_numbers_are_numbers() {
        let governor = "/sys/cpu/cpu#/cpufreq/governor";
        assert_eq!(captures(governor, "/sys/cpu/cpu12/cpufreq/governor"), Some(vec!["12".into()]));
        assert_eq!(captures(governor, "/sys/cpu/cpuidle/cpufreq/governor"), None);
        assert_eq!(captures(governor, "/sys/cpu/cpu/cpufreq/governor"), None);
        assert_eq!(captures(governor, "/sys/cpu/cpu1/cpufreq"), None);
        assert_eq!(captures(governor, "/sys/cpu/cpu1/cpufreq/governor/x"), None);
        let queue = "/net/*/queues/rx-#/rps";
        let found = captures(queue, "/net/eth0/queues/rx-3/rps");
        assert_eq!(found, Some(vec!["eth0".into(), "3".into()]));
        assert_eq!(captures("/a/b/", "/a/b/"), Some(vec![]));
    }
}
