#!/usr/bin/env bash
# Looks for undefined behaviour in the core with Miri (nightly toolchain), on rings in heap memory: what
# runs in threads with several seeds of its scheduler (MIRI_SEEDS, default 0..4), the rest with one.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=target/miri
miri() {
  cargo +nightly miri test --quiet --package openalgo-shm-core "$@"
}
MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-many-seeds=${MIRI_SEEDS:-0..4}" miri --test waiting --test threads
MIRIFLAGS="-Zmiri-disable-isolation" miri --lib --test places --test model
