//! Fuzz target: see `parsers::segment_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainspring_journal_fuzz::parsers::segment_header(data));
