//! Fuzz target: see `parsers::decoder`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| mainspring_transport_fuzz::parsers::decoder(data));
