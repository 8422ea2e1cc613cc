# Finds a Rust toolchain that compiles for wasm32-wasip1. Sourced by the scripts that do.
#
# In: TOLLGATE_WASM_TOOLCHAIN = auto (default), rustup, debian.
# Out: wasm_toolchain (rustup or debian), wasm_cargo (the command), wasm_args (what every build, check or clippy of it needs) and
# wasm_target_dir. Where the standard library for the target is not shipped, Debian's compiler builds it from Debian's
# sources; that is a compiler of its own, so its artefacts get a folder of their own.

. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

wasm_target=wasm32-wasip1
# Vector instructions, for hashing and comparing. Every Envoy that runs modules with V8 has them.
wasm_features=+simd128
debian_packages=(rustc-web rust-web-src wasi-libc)
debian_rustc=/usr/bin/rustc
debian_libc=/usr/lib/wasm32-wasi

target_is_installed() {
    compgen -G "$(rustc --print sysroot 2>/dev/null)/lib/rustlib/$wasm_target/lib/libstd-*.rlib" >/dev/null
}

# The compiler of PATH, with the target that is installed or that rustup can add.
use_rustup() {
    if ! target_is_installed; then
        command -v rustup >/dev/null || return 1
        say "rustup target add $wasm_target"
        rustup target add "$wasm_target" >&2 && target_is_installed || return 1
    fi
    wasm_toolchain=rustup
    wasm_cargo=(env "CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS=-C target-feature=$wasm_features" cargo)
    wasm_args=(--target "$wasm_target")
    wasm_target_dir=${CARGO_TARGET_DIR:-$root/target}
}

# Debian's compiler for the web, driven by whichever cargo is at hand.
use_debian() {
    if [[ ! -e $debian_libc/libc.a ]] || ! debian_has_sources; then
        apt_install "${debian_packages[@]}" || return 1
        debian_has_sources || return 1
    fi
    local linker
    linker=$(find_linker) || return 1
    wasm_toolchain=debian
    wasm_cargo=(
        env "RUSTC=$debian_rustc" RUSTC_BOOTSTRAP=1
        "RUSTFLAGS=${RUSTFLAGS:+$RUSTFLAGS }-C target-feature=+crt-static,$wasm_features -C link-self-contained=no -L $debian_libc"
        "CARGO_TARGET_WASM32_WASIP1_LINKER=$linker"
        cargo
    )
    wasm_args=(--target "$wasm_target" -Z build-std=std,panic_abort)
    wasm_target_dir=${CARGO_TARGET_DIR:-$root/target}/wasm-debian
}

debian_has_sources() {
    [[ -x $debian_rustc && -e $("$debian_rustc" --print sysroot)/lib/rustlib/src/rust/library/Cargo.toml ]]
}

# The linker that came with cargo's toolchain, else LLVM's of the version that Debian's compiler is built on.
find_linker() {
    local linker llvm
    for linker in "$(rustc --print sysroot 2>/dev/null)"/lib/rustlib/*/bin/rust-lld; do
        [[ -x $linker ]] && echo "$linker" && return
    done
    llvm=$("$debian_rustc" -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    linker=/usr/lib/llvm-$llvm/bin/wasm-ld
    [[ -x $linker ]] || apt_install "lld-$llvm" || return 1
    echo "$linker"
}

case ${TOLLGATE_WASM_TOOLCHAIN:-auto} in
auto)
    use_rustup || {
        say "no Rust standard library for $wasm_target: falling back to Debian's compiler"
        use_debian
    } || fail "there is no way to compile for $wasm_target here" \
        "rustup target add $wasm_target, or on Debian as root: apt-get install ${debian_packages[*]}"
    ;;
rustup)
    use_rustup || fail "the $wasm_target target is neither installed nor can rustup add it" \
        "rustup target add $wasm_target, or unset TOLLGATE_WASM_TOOLCHAIN"
    ;;
debian)
    use_debian || fail "Debian's compiler for $wasm_target is not there and could not be installed (see .tollgate/tools/apt.log)" \
        "as root: apt-get install ${debian_packages[*]}, or unset TOLLGATE_WASM_TOOLCHAIN"
    ;;
*)
    fail "TOLLGATE_WASM_TOOLCHAIN is '$TOLLGATE_WASM_TOOLCHAIN'" "set it to auto, rustup or debian"
    ;;
esac
