//! How much a registry takes.

/// Most entries of one node, an entry being an actor under one key.
pub const ENTRY_LIMIT: usize = 4_096;

/// Longest name of a service.
pub const NAME_LIMIT_BYTES: usize = 128;

/// Removals that each column remembers, so that those who are behind by so many need not get the whole.
pub const REMOVAL_LIMIT: usize = 256;

/// Most changes in one message; who misses more gets the whole.
pub const CHANGE_LIMIT: usize = 64;

/// Most columns that one answer brings up to date; the others follow in later rounds.
pub const COLUMNS_AN_ANSWER: usize = 32;

/// Most actors in a listing: the first by address.
pub const LISTING_LIMIT: usize = 4_096;

/// Most subscriptions of one node, a subscription being an actor that is told of one key.
pub const SUBSCRIPTION_LIMIT: usize = 4_096;
