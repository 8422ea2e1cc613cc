# Every task of the project. `./just` runs these too, and needs no `just` on PATH.
# What fails says why by itself, so most recipes need no message of just's own.

# Continuous integration builds exactly what Cargo.lock says.
locked := if env_var_or_default('CI', '') == '' { '' } else { '--locked' }

# Lists the recipes
[private]
default:
    @'{{ just_executable() }}' --justfile '{{ justfile() }}' --list --unsorted

# Starts the gateway with a sample API in the foreground; Ctrl-C stops everything: `just up [--free-ports]`
[no-exit-message]
up *arguments: wasm build
    @toolchain/with-peers up {{ arguments }}

# The same with an API Manager that runs already as control plane, whose password is in $cp_admin_pwd: `just up-with-apim https://apim:9443/ amqp://admin:admin@apim:5672 [environment] [--free-ports]`
[no-exit-message]
up-with-apim url broker environment='Default' *arguments: wasm build
    @toolchain/with-peers up --api-manager '{{ url }}' '{{ broker }}' '{{ environment }}' {{ arguments }}

# Starts a gateway on free ports, sends the tour of requests and checks every answer
[no-exit-message]
demo: wasm build
    @toolchain/with-peers demo

# Everything that proves the project right: unit tests, end-to-end tests, and every fuzz target for some seconds
[no-exit-message]
test: wasm wasm-trap build && (fuzz 'all' '5')
    @toolchain/with-peers cargo test {{ locked }} --workspace

# The end-to-end tests alone, or those whose name contains an argument: `just e2e hostile`
[no-exit-message]
e2e *arguments: wasm wasm-trap build
    @toolchain/with-peers cargo test {{ locked }} --workspace --test e2e -- {{ arguments }}

# Formatting, and clippy for this machine and for wasm with warnings denied
[no-exit-message]
lint:
    @toolchain/lint

# Fuzzes one target, or all of them, for so many seconds each
[no-exit-message]
fuzz target='all' seconds='60':
    @toolchain/fuzz '{{ target }}' '{{ seconds }}'

# Throughput and latency next to Envoy's own filters and to ext_authz, as ratios: `just bench [quick|full] [rounds] [seconds] [case…]`
[no-exit-message]
bench *arguments: wasm build
    @cargo build {{ locked }} --release --package tollgate-bench --bins
    @wrk=$(toolchain/wrk) h2load=$(toolchain/h2load) && TOLLGATE_WRK=$wrk TOLLGATE_H2LOAD=$h2load toolchain/with-peers bench {{ arguments }}

# Instructions of a request in the filter, counted by callgrind; fails above the budget
[no-exit-message]
cost:
    @toolchain/cost

# Traffic under 1,000 changes, revocations and tokens of every kind, each answer checked: `just soak [minutes]`, 30 by default
[no-exit-message]
soak *arguments: wasm build
    @toolchain/with-peers soak {{ arguments }}

# Cold start, changes and memory with thousands of APIs, with a release build of the adapter: `just bench-scale [apis] [resources]`
[no-exit-message]
bench-scale *arguments: wasm build
    @cargo build {{ locked }} --release --package tollgate-adapter --bin adapter
    @TOLLGATE_ADAPTER=target/release/adapter toolchain/with-peers scale {{ arguments }}

# Memory, look-ups and revocation with very many applications and revoked tokens: `just bench-subscribers [applications] [revoked]`
[no-exit-message]
bench-subscribers *arguments: wasm build
    @cargo build {{ locked }} --release --package tollgate-adapter --bin adapter
    @TOLLGATE_ADAPTER=target/release/adapter toolchain/with-peers subscribers {{ arguments }}

# Initial synchronisation and changes with an API Manager that has thousands of everything, with a release build of the adapter: `just bench-control-plane [applications] [subscriptions] [apis]`
[no-exit-message]
bench-control-plane *arguments: wasm build
    @cargo build {{ locked }} --release --package tollgate-adapter --bin adapter
    @TOLLGATE_ADAPTER=target/release/adapter toolchain/with-peers control-plane {{ arguments }}

# Every build is one of the whole workspace, so that all of them agree on the features of shared dependencies.

# The adapter, and the programs that start gateways
build:
    @cargo build {{ locked }} --workspace --bins

# The filter modules: target/wasm/enforcer.wasm, and one for each part of it
[no-exit-message]
wasm:
    @toolchain/wasm >/dev/null

# The same with a way to trap it on request, for tests: target/wasm/enforcer-trap.wasm
[no-exit-message]
wasm-trap:
    @toolchain/wasm trap >/dev/null

# Pushes the filter modules to a registry as images, without Docker: `just push-filters registry.example/tollgate [--format artifact]`
[no-exit-message]
push-filters repository *arguments: wasm build
    @"${CARGO_TARGET_DIR:-target}/debug/adapter" push-filters '{{ repository }}' --wasm target/wasm/enforcer.wasm {{ arguments }}

# Builds the adapter's image without Docker, and tries it: `just image [profile]`
[no-exit-message]
image profile='release': wasm
    @cargo build {{ locked }} --profile {{ if profile == 'debug' { 'dev' } else { profile } }} --package tollgate-adapter --bin adapter
    @toolchain/image '{{ profile }}'

# Finds or installs Envoy and prints its path
[no-exit-message]
envoy:
    @toolchain/envoy

# Removes what was built, what was installed in this folder, and the adapter's local state
clean:
    rm -rf target .tollgate
