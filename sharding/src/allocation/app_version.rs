//! Which of two versions of a program is the later one, whatever text they are.

use std::cmp::Ordering;

/// The version of the program that a node runs, compared as semantic versions are; any text has its place.
///
/// 1. A `v` before a digit does not count, nor does anything from the first `+` on.
/// 2. What stands before the first `-` is compared part by part, between dots; a part that is missing or empty counts
///    as 0: `1.2` and `1.2.0` are the same version.
/// 3. Of versions that are the same so far, the one with a `-` is the earlier. What follows the `-` is compared part by
///    part; of two that are the same as far as the shorter goes, the shorter is the earlier.
/// 4. Two parts of digits are compared as numbers of any length, other parts as text by their bytes; digits are earlier
///    than text.
///
/// After Semantic Versioning 2.0.0, section 11, which has rules 3 and 4 for its pre-releases. Two versions that count
/// as the same need not have the same text.
#[derive(Clone, Copy, Debug)]
pub struct AppVersion<'a>(pub &'a str);

impl Ord for AppVersion<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let ((release, preview), (other_release, other_preview)) = (self.halves(), other.halves());
        compare_releases(release, other_release).then_with(|| match (preview, other_preview) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(one), Some(other)) => one.split('.').map(Part).cmp(other.split('.').map(Part)),
        })
    }
}

impl<'a> AppVersion<'a> {
    /// What stands before the first `-`, and what follows it.
    fn halves(self) -> (&'a str, Option<&'a str>) {
        let text = self.0.split('+').next().unwrap_or_default();
        let unmarked = text.strip_prefix(['v', 'V']);
        let text = unmarked.filter(|rest| rest.starts_with(is_digit)).unwrap_or(text);
        match text.split_once('-') {
            Some((release, preview)) => (release, Some(preview)),
            None => (text, None),
        }
    }
}

impl PartialOrd for AppVersion<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for AppVersion<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for AppVersion<'_> {}

/// What stands between two dots.
struct Part<'a>(&'a str);

impl Part<'_> {
    /// The digits without zeros before them, if there is nothing else.
    fn number(&self) -> Option<&str> {
        self.0.bytes().all(|byte| byte.is_ascii_digit()).then(|| self.0.trim_start_matches('0'))
    }
}

impl Ord for Part<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.number(), other.number()) {
            (Some(one), Some(other)) => one.len().cmp(&other.len()).then_with(|| one.cmp(other)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.0.cmp(other.0),
        }
    }
}

impl PartialOrd for Part<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Part<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Part<'_> {}

fn is_digit(character: char) -> bool {
    character.is_ascii_digit()
}

fn compare_releases(one: &str, other: &str) -> Ordering {
    let (mut parts, mut other_parts) = (one.split('.'), other.split('.'));
    loop {
        let (part, other_part) = (parts.next(), other_parts.next());
        if part.is_none() && other_part.is_none() {
            return Ordering::Equal;
        }
        let order = Part(part.unwrap_or_default()).cmp(&Part(other_part.unwrap_or_default()));
        if order.is_ne() {
            return order;
        }
    }
}
