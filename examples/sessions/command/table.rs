//! The table of commands.

use super::{Command, CommandError, keyed, served};
use crate::request::Arguments;

/// The most bytes of a command's name.
const MOST_NAME_BYTES: usize = 16;

/// A command.
pub struct Spec {
    /// In small letters.
    pub name: &'static str,
    /// How many words it has, its name included; so many or more if negative.
    pub arity: i64,
    pub flags: &'static [&'static str],
    /// The first and the last word that is a key, and how far they are apart; 0 for none, -1 for the last word.
    pub keys: (i64, i64, i64),
    pub parse: for<'a> fn(Arguments<'a>) -> Result<Command<'a>, CommandError>,
}

type Parse = for<'a> fn(Arguments<'a>) -> Result<Command<'a>, CommandError>;

const READS: &[&str] = &["readonly", "fast"];
const WRITES: &[&str] = &["write", "denyoom", "fast"];
const REMOVES: &[&str] = &["write", "fast"];
const ASKS: &[&str] = &["loading", "stale", "fast"];

const ONE: (i64, i64, i64) = (1, 1, 1);
const ALL: (i64, i64, i64) = (1, -1, 1);
const PAIRS: (i64, i64, i64) = (1, -1, 2);
const NONE: (i64, i64, i64) = (0, 0, 0);

const fn spec(
    name: &'static str,
    arity: i64,
    flags: &'static [&'static str],
    keys: (i64, i64, i64),
    parse: Parse,
) -> Spec {
    Spec { name, arity, flags, keys, parse }
}

/// All commands, in the order of their names.
pub static COMMANDS: &[Spec] = &[
    spec("append", 3, WRITES, ONE, keyed::append),
    spec("auth", -2, ASKS, NONE, served::auth),
    spec("client", -2, ASKS, NONE, served::client),
    spec("command", -1, ASKS, NONE, served::command),
    spec("config", -2, ASKS, NONE, served::config),
    spec("dbsize", 1, READS, NONE, served::size),
    spec("decr", 2, WRITES, ONE, keyed::decrement),
    spec("decrby", 3, WRITES, ONE, keyed::decrement_by),
    spec("del", -2, REMOVES, ALL, keyed::delete),
    spec("echo", 2, ASKS, NONE, served::echo),
    spec("exists", -2, READS, ALL, keyed::exists),
    spec("expire", -3, REMOVES, ONE, keyed::expire),
    spec("expireat", -3, REMOVES, ONE, keyed::expire_at),
    spec("get", 2, READS, ONE, keyed::get),
    spec("getdel", 2, REMOVES, ONE, keyed::get_delete),
    spec("getset", 3, WRITES, ONE, keyed::get_set),
    spec("hdel", -3, REMOVES, ONE, keyed::hash_delete),
    spec("hello", -1, ASKS, NONE, served::hello),
    spec("hexists", 3, READS, ONE, keyed::hash_exists),
    spec("hget", 3, READS, ONE, keyed::hash_get),
    spec("hgetall", 2, READS, ONE, keyed::hash_get_all),
    spec("hlen", 2, READS, ONE, keyed::hash_length),
    spec("hmget", -3, READS, ONE, keyed::hash_get_many),
    spec("hmset", -4, WRITES, ONE, keyed::hash_set_many),
    spec("hset", -4, WRITES, ONE, keyed::hash_set),
    spec("incr", 2, WRITES, ONE, keyed::increment),
    spec("incrby", 3, WRITES, ONE, keyed::increment_by),
    spec("info", -1, ASKS, NONE, served::info),
    spec("mget", -2, READS, ALL, keyed::get_many),
    spec("mset", -3, WRITES, PAIRS, keyed::set_many),
    spec("persist", 2, REMOVES, ONE, keyed::persist),
    spec("pexpire", -3, REMOVES, ONE, keyed::expire_milliseconds),
    spec("pexpireat", -3, REMOVES, ONE, keyed::expire_at_milliseconds),
    spec("ping", -1, ASKS, NONE, served::ping),
    spec("psetex", 4, WRITES, ONE, keyed::set_expiring_milliseconds),
    spec("pttl", 2, READS, ONE, keyed::remaining_milliseconds),
    spec("quit", -1, ASKS, NONE, served::quit),
    spec("sadd", -3, WRITES, ONE, keyed::set_add),
    spec("scard", 2, READS, ONE, keyed::set_length),
    spec("select", 2, ASKS, NONE, served::select),
    spec("set", -3, WRITES, ONE, keyed::set),
    spec("setex", 4, WRITES, ONE, keyed::set_expiring),
    spec("setnx", 3, WRITES, ONE, keyed::set_if_absent),
    spec("sismember", 3, READS, ONE, keyed::set_contains),
    spec("smembers", 2, READS, ONE, keyed::set_members),
    spec("srem", -3, REMOVES, ONE, keyed::set_remove),
    spec("strlen", 2, READS, ONE, keyed::length),
    spec("ttl", 2, READS, ONE, keyed::remaining),
    spec("type", 2, READS, ONE, keyed::type_name),
    spec("unlink", -2, REMOVES, ALL, keyed::delete),
];

/// The command of this name.
pub fn find(name: &[u8]) -> Option<&'static Spec> {
    let mut small = [0; MOST_NAME_BYTES];
    let small = small.get_mut(..name.len())?;
    small.copy_from_slice(name);
    small.make_ascii_lowercase();
    let place = COMMANDS.binary_search_by(|spec| spec.name.as_bytes().cmp(small)).ok()?;
    COMMANDS.get(place)
}

impl Spec {
    /// Whether it can have so many words.
    pub fn takes(&self, words: usize) -> bool {
        let words = words as i64;
        if self.arity < 0 { words >= -self.arity } else { words == self.arity }
    }
}
