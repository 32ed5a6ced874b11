//! Fuzz target: see `parsers::link_frame`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainspring_transport_fuzz::parsers::link_frame(data));
