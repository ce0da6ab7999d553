# Everything a person does here. One cargo profile (release) and one target folder serve all of it,
# so nothing heavy is ever built twice.

set shell := ["bash", "-euo", "pipefail", "-c"]

target := env("CARGO_TARGET_DIR", "target")
sluice := target / "release" / "sluice"
# A lock file that does not fit is mended while one works and is an error in CI.
locked := if env("CI", "") == "true" { "--locked" } else { "" }

# List the recipes.
_list:
    @"{{just_executable()}}" --justfile "{{justfile()}}" --list --unsorted

# The first thing to run: build everything, run the demo pipeline, show its gold tables.
demo LAKE="target/demo-lake": modules
    cargo build {{locked}} --release --workspace --bin sluice
    "{{sluice}}" run pipelines/demo.toml --lake "{{LAKE}}"
    "{{sluice}}" head gold --lake "{{LAKE}}"
    @echo "The tables are in {{LAKE}}. Run it again and nothing is done twice; \`just clean-demo\` removes them."

# Remove the demo's tables.
clean-demo LAKE="target/demo-lake":
    rm -rf "{{LAKE}}"

# Build the transform modules into guest-transforms/dist.
modules:
    @scripts/modules

# Build the modules, the host and the benches.
build: modules
    cargo build {{locked}} --release --workspace

# Every test; with arguments, the host's tests that `cargo test` picks by them.
test *ARGS: modules
    @scripts/test {{ARGS}}

# A Kafka broker of one's own, for trying things: `start`, `stop` or `status`, and its folder.
kafka *ARGS="start":
    @scripts/kafka {{ARGS}}

# Formatting, clippy, and what may be depended on.
lint:
    cargo fmt --all --check
    cd guest-transforms && cargo fmt --all --check
    cargo clippy {{locked}} --release --workspace --all-targets -- -D warnings
    cd guest-transforms && cargo clippy {{locked}} --workspace --all-targets --target-dir "{{absolute_path(target)}}/guests" -- -D warnings
    @scripts/deny

# Fail where the contract in wit/ changed and its version did not.
wit-check:
    cargo test {{locked}} --release --workspace --test sluicebox -- wit_check

# Run a bench, `files`, `stream`, `boundary`, `upsert`, `commits` or `expect`, with its arguments.
bench NAME *ARGS: modules
    cargo build {{locked}} --release --workspace --bins
    "{{target}}/release/{{NAME}}" {{ARGS}}
