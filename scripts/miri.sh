#!/usr/bin/env bash
# Looks for undefined behaviour in the core with Miri (nightly toolchain), on rings in heap memory, with
# several seeds of its scheduler. MIRI_SEEDS=0..N sets which.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=target/miri
export MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-many-seeds=${MIRI_SEEDS:-0..4}"
cargo +nightly miri test --quiet --package openalgo-shm-core --lib --test places --test waiting --test threads "$@"
# Long scenarios: one seed.
export MIRIFLAGS="-Zmiri-disable-isolation"
exec cargo +nightly miri test --quiet --package openalgo-shm-core --test model "$@"
