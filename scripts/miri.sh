#!/usr/bin/env bash
# Looks for undefined behaviour in the ring with Miri (nightly toolchain), on rings in heap memory: what
# runs in threads with several seeds of its scheduler (MIRI_SEEDS, default 0..4), the rest with one.
# `scripts/miri.sh short` runs what takes a few minutes: the unit tests, the threads and the waiting, with one seed.
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR=target/miri
export MIRIFLAGS="-Zmiri-disable-isolation"
miri() {
  cargo +nightly miri test --quiet --package openalgo-shm-ring "$@"
}
if [[ "${1:-}" == short ]]; then
  miri --lib --test threads --test waiting
  exit
fi
MIRIFLAGS+=" -Zmiri-many-seeds=${MIRI_SEEDS:-0..4}" miri --test waiting --test threads
miri --lib --test places --test model --test lapping --test ticks
