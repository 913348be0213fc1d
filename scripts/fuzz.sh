#!/usr/bin/env bash
# Fuzzes what the ring makes of other processes' bytes (nightly toolchain, cargo-fuzz), ten minutes by
# default: FUZZ_SECONDS. New inputs go to target/fuzz-corpus; `scripts/fuzz.sh minimize` keeps of them, in
# the repository, the fewest that cover as much.
set -euo pipefail
cd "$(dirname "$0")/../crates/ring"
export CARGO_TARGET_DIR=fuzz/target
kept=fuzz/corpus/segment
found=../../target/fuzz-corpus
mkdir -p "$found"
if [[ "${1:-}" == minimize ]]; then
  exec cargo +nightly fuzz run segment "$kept" "$found" -- -set_cover_merge=1
fi
exec cargo +nightly fuzz run segment "$found" "$kept" -- \
  -max_total_time="${FUZZ_SECONDS:-600}" -max_len=512 -timeout=20 -print_final_stats=1
