//! The inputs that the ring's fuzzer found interesting, read by an encoder: see `crates/ring/fuzz`.
#![cfg(target_os = "linux")]

mod hostile {
    pub mod encode;
}
#[path = "../../ring/tests/hostile/mod.rs"]
mod segment;

use std::fs;
use std::path::Path;

#[test]
fn no_segment_of_the_corpus_makes_an_encoder_panic_hang_or_read_out_of_bounds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ring/fuzz/corpus/segment");
    let mut inputs = 0;
    for entry in fs::read_dir(&corpus).expect("the corpus is part of the repository") {
        let input = fs::read(entry.unwrap().path()).unwrap();
        segment::use_as_segment("openalgo-test-encoder", &input, hostile::encode::encode);
        inputs += 1;
    }
    assert!(inputs >= 10, "only {inputs} inputs in {}", corpus.display());
}
