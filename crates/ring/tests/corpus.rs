//! The inputs that the fuzzer found interesting, and some random ones: see `fuzz/`.
#![cfg(target_os = "linux")]

mod hostile;

use std::fs;
use std::path::Path;

#[test]
fn no_segment_of_the_corpus_makes_it_panic_hang_or_read_out_of_bounds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/segment");
    let mut inputs = 0;
    for entry in fs::read_dir(&corpus).expect("the corpus is part of the repository") {
        let input = fs::read(entry.unwrap().path()).unwrap();
        hostile::use_as_segment("openalgo-test-corpus", &input, |_| {});
        inputs += 1;
    }
    assert!(inputs >= 10, "only {inputs} inputs in {}", corpus.display());
}

#[test]
fn neither_does_a_random_one() {
    let mut state = 1_u64;
    let mut byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    for length in 0..600 {
        let mut input: Vec<u8> = (0..length).map(|_| byte()).collect();
        if let Some(choice) = input.first_mut() {
            *choice |= 0x80;
        }
        hostile::use_as_segment("openalgo-test-random", &input, |_| {});
    }
}
