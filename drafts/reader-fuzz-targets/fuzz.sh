#!/usr/bin/env bash
# Runs fuzz targets: fuzz [TARGET|all] [SECONDS]. Stable Rust and a C++ compiler are enough: libFuzzer is built from the sources
# that libfuzzer-sys carries, and rustc inserts the coverage itself. Inputs found on the way are kept in target/fuzz/corpus; one
# that fails is kept in target/fuzz/failures, and `target/fuzz/<triple>/release/<target> <file>` runs it again.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

wanted=${1:-all} seconds=${2:-60}
out=$(absolute "${CARGO_TARGET_DIR:-$root/target}")/fuzz
cd "$root/fuzz"
targets=()
for source in fuzz_targets/*.rs; do
    targets+=("$(basename "$source" .rs)")
done
if [[ $wanted != all ]]; then
    [[ -e fuzz_targets/$wanted.rs ]] || fail "there is no fuzz target '$wanted'" "choose one of: all ${targets[*]}"
    targets=("$wanted")
fi
[[ $seconds =~ ^[1-9][0-9]*$ ]] || fail "'$seconds' is not a number of seconds" "./just fuzz $wanted 60"
command -v "${CXX:-c++}" >/dev/null || fail "there is no C++ compiler, and libFuzzer needs one" "apt-get install g++"

# Naming the target keeps the coverage out of build scripts and procedural macros.
triple=$(rustc -vV | sed -n 's/^host: //p')
coverage='--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1'
for option in level=4 inline-8bit-counters pc-table trace-compares; do
    coverage+=" -Cllvm-args=-sanitizer-coverage-$option"
done

say "compiling the fuzz targets"
RUSTFLAGS=$coverage cargo build --quiet ${CI:+--locked} --release --target "$triple" --target-dir "$out"

for target in "${targets[@]}"; do
    corpus=$out/corpus/$target failures=$out/failures/$target log=$out/$target.log
    mkdir -p "$corpus" "$failures"
    folders=("$corpus")
    [[ ! -d seeds/$target ]] || folders+=("seeds/$target")
    say "fuzzing $target for $seconds s"
    if ! "$out/$triple/release/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -artifact_prefix="$failures/" -print_final_stats=1 "${folders[@]}" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        fail "fuzz target $target failed; the whole log is $log" "run its input in $failures again: $out/$triple/release/$target <file>"
    fi
    say "$target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs, no failure"
done
