//! What words mean, and what is said of those that mean nothing.

use super::*;
use crate::operation::{Expiry, Moment, SetOnly, SetOptions};
use crate::request::Places;

fn parsed<T>(words: &[&str], then: impl FnOnce(Result<Command<'_>, CommandError>) -> T) -> T {
    let mut bytes = format!("*{}\r\n", words.len());
    words.iter().for_each(|word| bytes.push_str(&format!("${}\r\n{word}\r\n", word.len())));
    let mut places = Places::default();
    let _ = places.parse(bytes.as_bytes());
    then(Command::parse(places.of(bytes.as_bytes())))
}

fn error(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    parsed(&words, |parsed| match parsed {
        Ok(command) => panic!("{text}: {command:?}"),
        Err(error) => error.to_string(),
    })
}

fn operation(text: &str) -> Operation {
    let words: Vec<&str> = text.split(' ').collect();
    parsed(&words, |parsed| match parsed {
        Ok(Command::Key { key: b"k", operation }) => operation,
        other => panic!("{text}: {other:?}"),
    })
}

#[test]
fn the_table_is_in_the_order_of_names_and_finds_each_in_any_case() {
    assert!(COMMANDS.is_sorted_by(|a, b| a.name < b.name));
    for spec in COMMANDS {
        let found = find(spec.name.to_uppercase().as_bytes()).expect(spec.name);
        assert_eq!(found.name, spec.name);
    }
    assert!(find(b"").is_none() && find(b"getx").is_none() && find(&[b'a'; 1_000]).is_none());
}

#[test]
fn what_is_wrong_is_said_in_the_words_of_redis() {
    for (text, wanted) in [
        ("foo", "ERR unknown command 'foo', with args beginning with: "),
        ("FOO a b", "ERR unknown command 'FOO', with args beginning with: 'a' 'b' "),
        ("GET", "ERR wrong number of arguments for 'get' command"),
        ("get a b", "ERR wrong number of arguments for 'get' command"),
        ("HSET k f", "ERR wrong number of arguments for 'hset' command"),
        ("HSET k f 1 g", "ERR wrong number of arguments for 'hset' command"),
        ("MSET k 1 l", "ERR wrong number of arguments for 'mset' command"),
        ("PING a b", "ERR wrong number of arguments for 'ping' command"),
        ("SET k v EX", "ERR syntax error"),
        ("SET k v NX XX", "ERR syntax error"),
        ("SET k v EX 1 PX 1", "ERR syntax error"),
        ("SET k v EX 1 KEEPTTL", "ERR syntax error"),
        ("SET k v EX a", "ERR value is not an integer or out of range"),
        ("SET k v EX 0", "ERR invalid expire time in 'set' command"),
        ("SET k v EX 9223372036854775807", "ERR invalid expire time in 'set' command"),
        ("SETEX k 0 v", "ERR invalid expire time in 'setex' command"),
        ("EXPIRE k a", "ERR value is not an integer or out of range"),
        ("EXPIRE k 9223372036854775807", "ERR invalid expire time in 'expire' command"),
        ("EXPIRE k 1 AB", "ERR Unsupported option AB"),
        ("EXPIRE k 1 NX GT", "ERR NX and XX, GT or LT options at the same time are not compatible"),
        ("EXPIRE k 1 GT LT", "ERR GT and LT options at the same time are not compatible"),
        ("INCRBY k 1.5", "ERR value is not an integer or out of range"),
        ("DECRBY k -9223372036854775808", "ERR value is not an integer or out of range"),
        ("SELECT 1", "ERR DB index is out of range"),
        ("SELECT a", "ERR value is not an integer or out of range"),
        ("HELLO 4", "NOPROTO unsupported protocol version"),
        ("HELLO a", "ERR Protocol version is not an integer or out of range"),
        ("HELLO 3 ABC", "ERR Syntax error in HELLO option 'ABC'"),
        ("CLIENT ABC", "ERR unknown subcommand 'ABC'. Try CLIENT HELP."),
        ("CLIENT SETNAME", "ERR wrong number of arguments for 'client|setname' command"),
        ("CLIENT SETINFO a b", "ERR Unrecognized option 'a'"),
        ("CONFIG SET a b", "ERR unknown subcommand 'SET'. Try CONFIG HELP."),
        ("CONFIG GET", "ERR wrong number of arguments for 'config|get' command"),
        ("COMMAND ABC", "ERR unknown subcommand 'ABC'. Try COMMAND HELP."),
        ("AUTH a b", "WRONGPASS invalid username-password pair or user is disabled."),
    ] {
        assert_eq!(error(text), wanted, "{text}");
    }
    assert!(error("AUTH a").starts_with("ERR AUTH <password> called without any password"));
    assert!(error("DBSIZE").starts_with("ERR DBSIZE"));
    let many = format!("foo {}", ["0123456789"; 1_000].join(" "));
    assert!(error(&many).len() < 400, "not all of it is shown");
}

#[test]
fn a_key_that_cannot_be_one_is_refused_before_anything_is_asked() {
    let long = "x".repeat(1_025);
    for words in [vec!["GET", ""], vec!["GET", &long], vec!["MSET", "a", "1", "", "2"]] {
        let error = parsed(&words, |parsed| parsed.err().map(|error| error.to_string()));
        assert!(error.is_some_and(|error| error.contains("a key has 1 to 1024 bytes")));
    }
}

#[test]
fn options_of_set_are_taken_in_any_order_and_case() {
    let set = |options| Operation::Set { value: b"v".to_vec(), options };
    assert_eq!(operation("SET k v"), set(SetOptions::default()));
    let expiry = Expiry::Then(Moment::After(7_000));
    let options = SetOptions { expiry, only: SetOnly::IfPresent, returns_old: true, counts: false };
    assert_eq!(operation("set k v xx EX 7 get"), set(options));
    assert_eq!(operation("SET k v GET ex 7 XX"), set(options));
    assert_eq!(
        operation("GETSET k v"),
        set(SetOptions { returns_old: true, ..SetOptions::default() })
    );
    let kept = SetOptions { expiry: Expiry::Kept, ..SetOptions::default() };
    assert_eq!(operation("SET k v KEEPTTL"), set(kept));
    let point = Expiry::Then(Moment::At(5));
    assert_eq!(
        operation("SET k v PXAT 5"),
        set(SetOptions { expiry: point, ..SetOptions::default() })
    );
}

#[test]
fn commands_of_many_keys_ask_each_of_them() {
    let keys = |text: &str| {
        let words: Vec<&str> = text.split(' ').collect();
        parsed(&words, |parsed| match parsed {
            Ok(Command::Keys { keyed, join }) => (keyed.len(), join),
            other => panic!("{text}: {other:?}"),
        })
    };
    assert_eq!(keys("MGET a"), (1, Join::List));
    assert_eq!(keys("MGET a b a"), (3, Join::List));
    assert_eq!(keys("MSET a 1 b 2"), (2, Join::Ok));
    assert_eq!(keys("DEL a b"), (2, Join::Sum));
    assert_eq!(operation("DEL k"), Operation::Delete, "one alone needs no sum");
    assert_eq!(operation("DECRBY k 5"), Operation::Increment { by: -5 });
}
