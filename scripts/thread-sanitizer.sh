#!/usr/bin/env bash
# Looks for data races in the ring, in the table of topics and in delivery with ThreadSanitizer (nightly toolchain with
# rust-src). `short` leaves out the ring, which Loom and Miri look at as well.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(rustc +nightly -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=target/tsan
export RUSTFLAGS="-Zsanitizer=thread"
export RUSTDOCFLAGS="-Zsanitizer=thread"
# Optimized as what ships, with the checks of a debug build.
export CARGO_PROFILE_TEST_OPT_LEVEL=2
test=(cargo +nightly test --quiet -Zbuild-std --target "$target")
if [ "${1:-}" = short ]; then
  shift
else
  "${test[@]}" --package openalgo-shm-ring \
    --lib --test lapping --test places --test waiting --test threads --test model --test segment "$@"
fi
"${test[@]}" --package openalgo-shm-frames --test threads "$@"
"${test[@]}" --package openalgo-shm-delivery --test delivery "$@"
