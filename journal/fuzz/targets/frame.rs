//! Fuzz target: see `parsers::frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainspring_journal_fuzz::parsers::frame(data));
