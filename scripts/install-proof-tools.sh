#!/usr/bin/env bash
# Installs what Miri and the fuzzer need, where it is missing: the nightly toolchain and cargo-fuzz.
set -euo pipefail
if ! cargo +nightly miri --version > /dev/null 2>&1; then
  rustup toolchain install nightly --profile minimal --component miri,rust-src
fi
if ! cargo fuzz --version > /dev/null 2>&1; then
  cargo install cargo-fuzz --locked
fi
