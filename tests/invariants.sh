#!/usr/bin/env bash
# Checks the dependencies of ARCHITECTURE.md, and crates that the binaries must not contain. Reads `cargo tree`
# and the imports in source files. Builds nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

failures=0

# dependencies PACKAGE [OPTION...]: prints names and versions of all dependencies, except those of build scripts.
dependencies() {
    cargo tree --locked --package "$1" --edges normal --prefix none --format '{p}' "${@:2}" |
        awk '{ sub(/^v/, "", $2); print $1, $2 }' | sort -u
}

# forbid PACKAGE PATTERN REASON [OPTION...]: fails if a dependency of PACKAGE matches PATTERN ("name version").
forbid() {
    local all found
    all=$(dependencies "$1" "${@:4}")
    found=$(grep -E "$2" <<<"$all" || true)
    if [ -n "$found" ]; then
        printf 'FAILED  %s: %s\n        found: %s\n' "$1" "$3" "$(echo "$found" | paste -sd, -)"
        failures=$((failures + 1))
    else
        printf 'ok      %s: %s\n' "$1" "$3"
    fi
}

# check_cycles FOLDER PREFIX: fails if modules in FOLDER import each other in a cycle. An import of another module
# is `PREFIX::module`. Tests are ignored.
check_cycles() {
    local folder=$1 prefix=$2 module file loops
    loops=$(
        for file in "$folder"/*; do
            module=$(basename "$file" .rs)
            case $module in main | lib | mod | model | testing | tests) continue ;; esac
            { grep -rhoE --include='*.rs' --exclude=tests.rs --exclude-dir=tests "$prefix::[a-z_]+" "$file" || true; } |
                sed "s/.*:://" | sort -u | while read -r imported; do
                case $imported in "$module" | testing | tests) ;; *) echo "$module $imported" ;; esac
            done
        done | { tsort 2>&1 >/dev/null || true; } | sed -n 's/^tsort: \([a-z_]*\)$/\1/p' | sort -u | paste -sd' ' -
    )
    if [ -n "$loops" ]; then
        printf 'FAILED  %s: modules import each other in a cycle: %s\n' "$folder" "$loops"
        failures=$((failures + 1))
    else
        printf 'ok      %s: imports have no cycles\n' "$folder"
    fi
}

ours='^(image-copy|image-copy-aws|cfn-container-image-provider|container-image|aws-emulator) '
cloud='^(aws-sdk-|aws-config |aws-smithy-|aws-types |aws_lambda_events |lambda_)'

forbid image-copy "$cloud" 'the engine depends on no AWS SDK and not on Lambda'
forbid container-image "$cloud" 'the command line uses the AWS SDK only through image-copy-aws' --depth 1
for package in image-copy-aws container-image; do
    forbid "$package" '^(aws_lambda_events|lambda_)' 'only the provider depends on Lambda'
done
forbid cfn-container-image-provider '^aws-sdk-(cloudformation|iam|s3|sfn|sso|ssooidc|signin) ' 'the function has no credentials of a shell, and no SDK for CloudFormation, IAM, S3 or Step Functions'
forbid aws-emulator "$cloud" 'the emulator depends on no AWS SDK'
forbid aws-emulator "${ours/|aws-emulator/}" 'the emulator shares no code with the tested crates'

for binary in cfn-container-image-provider container-image; do
    forbid "$binary" '^hyper 0\.' 'one HTTP stack, hyper 1'
    forbid "$binary" '^rustls 0\.(1|20|21)' 'one TLS stack, a current rustls'
    forbid "$binary" '^(ring|openssl|openssl-sys|native-tls|boring) ' 'one TLS provider, aws-lc-rs'
    forbid "$binary" '^(async-compression|brotli|flate2|zstd|compression-codecs) ' \
        'content is not decompressed: bytes are copied unchanged'
    forbid "$binary" '^(aws-emulator|rcgen) ' 'no test crates in the binaries'
done

provider=crates/cfn-container-image-provider/src
check_cycles "$provider" crate
for folder in clients copy delete input logging refresh respond settings; do
    check_cycles "$provider/$folder" super
done

if [ "$failures" -gt 0 ]; then
    echo "$failures checks failed. To find the origin of a dependency: cargo tree --package PACKAGE --invert CRATE"
    exit 1
fi
