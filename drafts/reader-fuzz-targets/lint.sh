#!/usr/bin/env bash
# Formatting and clippy, on this machine's target and on wasm, with warnings denied.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/wasm-env.sh"
cd "$root"

say "formatting"
cargo fmt --all --check || fail "the code is not formatted" "cargo fmt --all"
cargo fmt --manifest-path fuzz/Cargo.toml --check ||
    fail "the fuzz targets are not formatted" "cargo fmt --manifest-path fuzz/Cargo.toml"

say "clippy"
cargo clippy ${CI:+--locked} --workspace --all-targets -- --deny warnings
cargo clippy ${CI:+--locked} --manifest-path fuzz/Cargo.toml --target-dir "${CARGO_TARGET_DIR:-$root/target}/fuzz" -- --deny warnings

# Once as it ships, and once with the code that only test modules have.
for features in '' trap-injection; do
    if [[ $wasm_toolchain == rustup ]]; then
        say "clippy on $wasm_target ${features:+with $features}"
        "${wasm_cargo[@]}" clippy ${CI:+--locked} --package tollgate-enforcer --features "$features" "${wasm_args[@]}" -- --deny warnings
    else
        # Debian's compiler for the web comes without clippy. The same crates have been through it for this machine above.
        say "no clippy for $wasm_target in Debian's toolchain: compiler warnings are denied instead"
        "${wasm_cargo[@]}" -Z warnings --config 'build.warnings="deny"' check ${CI:+--locked} --package tollgate-enforcer --features "$features" \
            "${wasm_args[@]}" --target-dir "$wasm_target_dir"
    fi
done
