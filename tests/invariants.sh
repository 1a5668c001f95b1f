#!/usr/bin/env bash
# Holds what ARCHITECTURE.md says of who may depend on whom, and what must not be in the binaries.
# Reads `cargo tree` and the imports in source files; builds nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

failures=0

# Names and versions of everything a package is built from, its own build scripts left out.
tree() {
    cargo tree --locked --package "$1" --edges normal --prefix none --format '{p}' "${@:2}" |
        awk '{ sub(/^v/, "", $2); print $1, $2 }' | sort -u
}

# forbid PACKAGE PATTERN REASON: nothing that PACKAGE is built from matches PATTERN ("name version").
forbid() {
    local all found
    all=$(tree "$1")
    found=$(grep -E "$2" <<<"$all" || true)
    if [ -n "$found" ]; then
        printf 'FAILED  %s: %s\n        found: %s\n' "$1" "$3" "$(echo "$found" | paste -sd, -)"
        failures=$((failures + 1))
    else
        printf 'ok      %s: %s\n' "$1" "$3"
    fi
}

# one_way FOLDER PREFIX: modules below FOLDER import each other in one direction. An import of another
# module reads `PREFIX::module`. Tests are left out.
one_way() {
    local folder=$1 prefix=$2 module file loops
    loops=$(
        for file in "$folder"/*; do
            module=$(basename "$file" .rs)
            case $module in main | lib | mod | model | testing | tests) continue ;; esac
            { grep -rhoE --include='*.rs' --exclude=tests.rs --exclude-dir=tests "$prefix::[a-z_]+" "$file" || true; } |
                sed "s/.*:://" | sort -u | while read -r imported; do
                case $imported in "$module" | testing | tests) ;; *) echo "$module $imported" ;; esac
            done
        done | tsort 2>&1 >/dev/null | sed -n 's/^tsort: \([a-z_]*\)$/\1/p' | sort -u | paste -sd' ' -
    )
    if [ -n "$loops" ]; then
        printf 'FAILED  %s: modules import each other in a circle: %s\n' "$folder" "$loops"
        failures=$((failures + 1))
    else
        printf 'ok      %s: imports point one way\n' "$folder"
    fi
}

ours='^(image-copy|image-copy-aws|cfn-container-image-provider|container-image|aws-emulator) '
cloud='^(aws-sdk-|aws-config |aws-smithy-|aws-types |aws_lambda_events |lambda_)'

forbid image-copy "$cloud" 'the engine knows neither an AWS SDK nor Lambda'
forbid container-image "$cloud" 'the command line does without an AWS SDK'
forbid image-copy-aws '^(aws_lambda_events|lambda_)' 'only the provider knows Lambda'
forbid aws-emulator "$cloud" 'the emulator knows AWS by its wire format only'
forbid aws-emulator "${ours/|aws-emulator/}" 'the emulator shares no code with what it tests'

for binary in cfn-container-image-provider container-image; do
    forbid "$binary" '^hyper 0\.' 'one HTTP stack, hyper 1'
    forbid "$binary" '^rustls 0\.(1|20|21)' 'one TLS stack, a current rustls'
    forbid "$binary" '^(ring|openssl|openssl-sys|native-tls|boring) ' 'one TLS provider, aws-lc-rs'
    forbid "$binary" '^(async-compression|brotli|flate2|zstd|compression-codecs) ' \
        'nothing unpacks what passes through: bytes go out as they came in'
    forbid "$binary" '^(aws-emulator|rcgen) ' 'no test equipment in what ships'
done

provider=crates/cfn-container-image-provider/src
one_way "$provider" crate
for folder in clients copy delete input logging respond settings; do
    one_way "$provider/$folder" super
done

if [ "$failures" -gt 0 ]; then
    echo "$failures invariants do not hold. Show why a crate is in the tree: cargo tree --package PACKAGE --invert CRATE"
    exit 1
fi
