//! Rust source reduced to its code: comments and the insides of literals become spaces, line breaks stay.
//!
//! Enough of the lexical grammar for word searches: nested block comments, raw and byte strings, characters beside
//! lifetimes.

/// The text with comments and literals blanked out; line numbers stay true.
pub fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = vec![b' '; bytes.len()];
    let mut at = 0;
    while at < bytes.len() {
        let end = skipped_until(bytes, at);
        if end > at {
            for index in at..end.min(bytes.len()) {
                if bytes[index] == b'\n' {
                    code[index] = b'\n';
                }
            }
            at = end;
        } else {
            code[at] = bytes[at];
            at += 1;
        }
    }
    String::from_utf8_lossy(&code).into_owned()
}

/// Whether `word` stands in `line` as a whole identifier.
pub fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(start, _)| {
        !line[..start].chars().next_back().is_some_and(is_part)
            && !line[start + word.len()..].chars().next().is_some_and(is_part)
    })
}

/// The end of the comment or literal that starts at `at`, or `at` when none does.
fn skipped_until(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let inside_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if rest.starts_with(b"//") {
        return at + rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return at + block_comment_bytes(rest);
    }
    if !inside_word && let Some(length) = raw_string_bytes(rest) {
        return at + length;
    }
    match rest[0] {
        b'"' => at + quoted_bytes(rest),
        b'\'' => at + char_bytes(rest),
        _ => at,
    }
}

fn block_comment_bytes(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn raw_string_bytes(rest: &[u8]) -> Option<usize> {
    let prefix = ["br", "cr", "r"].iter().find(|p| rest.starts_with(p.as_bytes()))?.len();
    let hashes = rest[prefix..].iter().take_while(|&&b| b == b'#').count();
    if rest.get(prefix + hashes) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let start = prefix + hashes + 1;
    let body = &rest[start..];
    let end = body.windows(close.len()).position(|w| w == close).unwrap_or(body.len());
    Some((start + end + close.len()).min(rest.len()))
}

fn quoted_bytes(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'"' {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// A character literal, or 0 for a lifetime.
fn char_bytes(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        let close = rest.iter().skip(3).position(|&b| b == b'\'');
        return close.map_or(rest.len(), |close| close + 4);
    }
    // One character of up to four bytes.
    (2..=5)
        .find(|&n| rest.get(n) == Some(&b'\'') && (n == 2 || rest[1] >= 0x80))
        .map_or(0, |n| n + 1)
}

#[test]
fn comments_and_literals_become_spaces() {
    let text = "let a = \"un\\\"safe\"; // unsafe\n/* unsafe /* in */ unsafe */ let b = r#\"unsafe\"#;\nlet c = 'x';";
    let code = code_of(text);
    assert!(!code.contains("safe"), "{code}");
    assert!(code.contains("let a") && code.contains("let b") && code.contains("let c"));
    assert_eq!(code.lines().count(), text.lines().count());
}

#[test]
fn lifetimes_are_not_characters() {
    let text = "fn f<'a>(x: &'a str, y: &'a u8) { unsafe {} } const Q: char = '\\'';\n";
    let code = code_of(&format!("{text}const E: char = 'é'; tail"));
    assert!(code.contains("unsafe") && code.contains("tail"), "{code}");
}

#[test]
fn words_are_whole_identifiers() {
    assert!(has_word("  unsafe { x }", "unsafe"));
    assert!(!has_word("#[allow(unsafe_code)]", "unsafe"));
}
