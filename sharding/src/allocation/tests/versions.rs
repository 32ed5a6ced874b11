//! Which version is the later one.

use std::cmp::Ordering;

use super::*;

#[test]
fn versions_rise_in_the_order_that_is_documented() {
    let rising = [
        "", // counts as 0
        "0.9-rc.1",
        "0.9",
        "1.0-alpha",
        "1.0-alpha.1",
        "1.0-alpha.beta",
        "1.0-beta.2",
        "1.0-beta.11",
        "1.0",
        "1.2.9",
        "1.2.10",
        "1.10",
        "9",
        "20251122",
        "99999999999999999999999999999999999999999",
        "2c84f1a",
        "main",
        "nightly",
    ];
    for pair in rising.windows(2) {
        let (earlier, later) = (AppVersion(pair[0]), AppVersion(pair[1]));
        assert_eq!(earlier.cmp(&later), Ordering::Less, "{earlier:?} {later:?}");
    }
}

#[test]
fn one_version_may_be_written_in_several_ways() {
    for (one, other) in
        [("1.2", "1.2.0"), ("v1.2", "1.2"), ("1.02", "1.2"), ("1.2+abc", "1.2+7"), ("", "0")]
    {
        assert_eq!(AppVersion(one), AppVersion(other));
    }
    assert_ne!(AppVersion("vX"), AppVersion("X"));
}

#[test]
fn the_order_of_any_texts_is_an_order() {
    let text = "[0-2a.v+-]{0,6}";
    proptest::proptest!(|(a in text, b in text, c in text)| {
        let (a, b, c) = (AppVersion(&a), AppVersion(&b), AppVersion(&c));
        assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        assert_eq!(a.cmp(&a), Ordering::Equal);
        if a <= b && b <= c {
            assert!(a <= c, "{a:?} {b:?} {c:?}");
        }
    });
}
