//! Fuzz target: see `parsers::checkpoint`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainspring_journal_fuzz::parsers::checkpoint(data));
