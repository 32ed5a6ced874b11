//! Fuzz target: see `parsers::record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainspring_journal_fuzz::parsers::record(data));
