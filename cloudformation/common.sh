# What the scripts beside it share; they source it. They need the AWS CLI, awk and nothing else.
# shellcheck shell=bash
# What is set here is used there.
# shellcheck disable=SC2034

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The template that installs the provider.
template=$root/cloudformation/cfn-container-image-provider.yaml
# Where package.sh puts what it makes.
packages=${PACKAGES:-${CARGO_TARGET_DIR:-$root/target}/package}
# Name of the stack, and of the function unless PARAMETERS says otherwise.
stack=${STACK:-cfn-container-image-provider}

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    exit 1
}

# Sets account, partition and region, in whose name everything happens.
who_and_where() {
    local identity
    command -v aws >/dev/null || fail 'the AWS CLI (aws) is needed'
    identity=$(aws sts get-caller-identity --query '[Account, Arn]' --output text) ||
        fail 'AWS does not know who you are; see aws configure'
    account=${identity%%$'\t'*}
    partition=$(cut -d: -f2 <<<"${identity#*$'\t'}")
    region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}
    [ -n "$region" ] || fail 'no Region is set; set AWS_REGION'
    # The command line knows the older name alone.
    export AWS_DEFAULT_REGION=$region
}

# Prints the version of the program, as Cargo.toml has it.
version() {
    awk -F '"' '/^version = / { print $2; exit }' "$root/Cargo.toml"
}

# Prints the key of the packages without "-ARCHITECTURE.zip". It holds version and content, so that a
# changed package is a changed key: CloudFormation does not notice other changes.
key_prefix() {
    grep -q 'bootstrap-.*\.zip$' "$packages/SHA256SUMS" 2>/dev/null ||
        fail "there are no packages in $packages; run make package"
    printf 'cfn-container-image-provider/%s-%s/bootstrap\n' "$(version)" "$(digest <"$packages/SHA256SUMS")"
}

digest() {
    if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c1-12
}

# Prints the processors that there is a package for, the preferred one first.
architectures() {
    local name found=()
    for name in arm64 x86_64; do
        [ ! -f "$packages/bootstrap-$name.zip" ] || found+=("$name")
    done
    # An empty list is an unset one to the Bash of macOS.
    echo ${found[@]+"${found[@]}"}
}

# ensure_bucket BUCKET REGION: makes it if it is not there, closed to others as S3 makes all buckets.
# Names of buckets are shared by everybody, and whoever owns the bucket chooses the program that runs.
ensure_bucket() {
    local location=() answer
    if answer=$(aws s3api head-bucket --bucket "$1" --region "$2" --expected-bucket-owner "$account" 2>&1); then
        return
    fi
    [[ $answer != *'(403)'* ]] ||
        fail "bucket $1 belongs to another account, or is closed to you; set BUCKET_PREFIX to a name of your own"
    # This Region alone must not be named.
    [ "$2" = us-east-1 ] || location=(--create-bucket-configuration "LocationConstraint=$2")
    aws s3api create-bucket --bucket "$1" --region "$2" ${location[@]+"${location[@]}"} >/dev/null ||
        fail "bucket $1 can neither be read nor made"
    echo "made bucket $1"
}

# upload FILE BUCKET KEY REGION: puts it there once. What is there has the same content, as its key
# says.
upload() {
    if aws s3api head-object --bucket "$2" --key "$3" --region "$4" --expected-bucket-owner "$account" \
        >/dev/null 2>&1; then
        echo "is there already: s3://$2/$3"
        return
    fi
    aws s3api put-object --bucket "$2" --key "$3" --region "$4" --expected-bucket-owner "$account" \
        --body "$1" >/dev/null || fail "s3://$2/$3 cannot be written"
    echo "uploaded s3://$2/$3"
}
