#!/usr/bin/env bash
# Explores the memory orderings of the ring with loom. Arguments go to the test program.
set -euo pipefail
cd "$(dirname "$0")/.."
RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom CARGO_PROFILE_TEST_OPT_LEVEL=3 \
  exec cargo test --quiet --package openalgo-shm-ring --lib models -- "$@"
