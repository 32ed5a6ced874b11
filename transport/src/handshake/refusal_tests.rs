//! Numbers of reasons, and texts that are too long.

use super::message::{Kind, Step, read};
use super::*;

#[test]
fn every_number_has_its_reason() {
    for code in 0..=u8::MAX {
        let reason = RefusalReason::from_code(code);
        assert_eq!(reason.code(), code);
        assert_eq!(matches!(reason, RefusalReason::Other(_)), code == 0 || code > 17);
        assert!(!reason.to_string().is_empty());
    }
}

#[test]
fn a_long_text_is_cut_between_characters() {
    let text = "é".repeat(REFUSAL_TEXT_LIMIT_BYTES);
    let message = refusal(RefusalReason::Quarantined, &format!("x{text}"));
    let Ok(Step::Message { kind: Kind::Refused, body, .. }) = read(&message) else {
        panic!("a refusal that cannot be read")
    };
    assert_eq!(body.len(), REFUSAL_TEXT_LIMIT_BYTES);
    std::str::from_utf8(&body[1..]).expect("whole characters");
}
