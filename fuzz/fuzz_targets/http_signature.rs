#![no_main]

#[path = "../src/http_signature.rs"]
mod http_signature;

libfuzzer_sys::fuzz_target!(|data: &[u8]| http_signature::check(data));
