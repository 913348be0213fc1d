//! Any bytes as a segment: no panic, nothing out of bounds, no hang. What is done with them is shared with the
//! ordinary tests that replay the corpus.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../../frames/tests/hostile/encode.rs"]
mod encode;
#[path = "../../tests/hostile/mod.rs"]
mod hostile;

fuzz_target!(|input: &[u8]| hostile::use_as_segment("openalgo-fuzz", input, encode::encode));
