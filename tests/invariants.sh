#!/usr/bin/env bash
# Holds what ARCHITECTURE.md says of who may depend on whom, and what must not be in the binaries.
# Reads `cargo tree` only; builds nothing.
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

if [ "$failures" -gt 0 ]; then
    echo "$failures of the invariants do not hold: cargo tree --package PACKAGE --invert CRATE shows why"
    exit 1
fi
