# Functions and variables of the scripts in this folder. Requires the AWS CLI, awk, and Bash 3.2 (as on macOS).
# shellcheck shell=bash
# The scripts use these variables.
# shellcheck disable=SC2034

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The template that installs the provider.
template=$root/cloudformation/cfn-container-image-provider.yaml
# The template of the refresh stack.
refresh_template=$root/cloudformation/image-refresh.yaml
# Output folder of package.sh.
packages=${PACKAGES:-${CARGO_TARGET_DIR:-$root/target}/package}
# Name of the stack.
stack=${STACK:-cfn-container-image-provider}

fail() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    exit 1
}

# Sets account and partition to those of the current AWS credentials, and region to that of the AWS CLI.
set_account_and_region() {
    local identity
    command -v aws >/dev/null || fail 'the AWS CLI (aws) was not found'
    region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region || true)}}
    [ -n "$region" ] || fail 'no Region is set; set AWS_REGION'
    # Version 1 of the AWS CLI reads only AWS_DEFAULT_REGION. Version 2 prefers AWS_REGION.
    export AWS_REGION=$region AWS_DEFAULT_REGION=$region
    identity=$(aws sts get-caller-identity --query '[Account, Arn]' --output text) ||
        fail "the AWS account could not be determined in Region $region; check the credentials with aws configure list"
    account=${identity%%$'\t'*}
    partition=$(cut -d: -f2 <<<"${identity#*$'\t'}")
}

# Prints the name of the stack's function.
stack_function() {
    aws cloudformation describe-stack-resource --region "$region" --stack-name "$stack" --output text \
        --logical-resource-id CFNCustomProvider --query StackResourceDetail.PhysicalResourceId
}

# check_is_provider STATUS PARAMETER: fails if the existing stack does not install the provider. PARAMETER is
# CodeKeyPrefix if the stack has this parameter. A stack whose creation failed can have no function, and the
# original provider has no such parameter.
check_is_provider() {
    # Before its first change set is executed, a stack has no resources.
    if [ "$1" != REVIEW_IN_PROGRESS ] && [ "$2" != CodeKeyPrefix ]; then
        stack_function >/dev/null ||
            fail "stack $stack does not install the provider and was not changed; set STACK to another name"
    fi
}

# check_bucket_prefix PREFIX REGION...: rejects a value that the template rejects.
check_bucket_prefix() {
    local name prefix=$1
    # The pattern of CodeBucketPrefix in the template. In other locales, ranges can contain uppercase letters.
    LC_ALL=C grep -qE '^[a-z0-9][a-z0-9.-]{1,47}$' <<<"$prefix" ||
        fail "BUCKET_PREFIX is $prefix; expected 2 to 48 lowercase letters, digits, dots and hyphens, such as acme"
    shift
    for name in "$@"; do
        [[ $prefix != *-$name ]] ||
            echo "WARNING: BUCKET_PREFIX ends in the Region; the bucket is $prefix-$name." >&2
    done
}

# Prints the version in Cargo.toml.
version() {
    awk -F '"' '/^version = / { print $2; exit }' "$root/Cargo.toml"
}

# Prints the key of the packages without "-ARCHITECTURE.zip". It contains the version and a digest,
# because CloudFormation updates a function only if the key changes.
key_prefix() {
    local packaged
    grep -q 'bootstrap-.*\.zip$' "$packages/SHA256SUMS" 2>/dev/null ||
        fail "$packages contains no packages; run make package"
    packaged=$(cat "$packages/VERSION" 2>/dev/null) || packaged=unknown
    [ "$packaged" = "$(version)" ] ||
        fail "$packages contains version $packaged, not $(version); run make package"
    printf 'cfn-container-image-provider/%s-%s/bootstrap\n' "$(version)" "$(digest <"$packages/SHA256SUMS")"
}

# checksums FILE...: prints SHA-256 sums. - is the input. macOS has only shasum.
checksums() {
    if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi
}

digest() {
    checksums - | cut -c1-12
}

# Prints the packaged architectures, the preferred one first.
architectures() {
    local name found=()
    for name in arm64 x86_64; do
        [ ! -f "$packages/bootstrap-$name.zip" ] || found+=("$name")
    done
    # With set -u, Bash before 4.4 rejects the expansion of an empty array.
    echo ${found[@]+"${found[@]}"}
}

# tls_statement BUCKET: prints a statement of a bucket policy that denies requests without TLS.
tls_statement() {
    printf '{"Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": ["arn:%s:s3:::%s", "arn:%s:s3:::%s/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}}}' "$partition" "$1" "$partition" "$1"
}

# put_policy BUCKET REGION STATEMENTS
put_policy() {
    aws s3api put-bucket-policy --bucket "$1" --region "$2" --expected-bucket-owner "$account" \
        --policy "{\"Version\": \"2012-10-17\", \"Statement\": [$3]}" ||
        fail "the policy of bucket $1 cannot be written"
}

# ensure_bucket BUCKET REGION: creates the bucket if it is missing. A bucket of another account is rejected,
# because its owner could replace the code of the function.
ensure_bucket() {
    local location=() output
    if output=$(aws s3api head-bucket --bucket "$1" --region "$2" --expected-bucket-owner "$account" 2>&1); then
        return
    fi
    [[ $output != *'(403)'* ]] ||
        fail "bucket $1 belongs to another account, or you have no access to it; set BUCKET_PREFIX to another name"
    # S3 rejects a location constraint only in this Region.
    [ "$2" = us-east-1 ] || location=(--create-bucket-configuration "LocationConstraint=$2")
    aws s3api create-bucket --bucket "$1" --region "$2" ${location[@]+"${location[@]}"} >/dev/null ||
        fail "bucket $1 can neither be read nor created"
    put_policy "$1" "$2" "$(tls_statement "$1")"
    echo "created bucket $1"
}

# upload FILE BUCKET KEY REGION: uploads the file unless the object exists. The key contains a digest, so
# an existing object has the same content.
upload() {
    if aws s3api head-object --bucket "$2" --key "$3" --region "$4" --expected-bucket-owner "$account" \
        >/dev/null 2>&1; then
        echo "exists already: s3://$2/$3"
        return
    fi
    aws s3api put-object --bucket "$2" --key "$3" --region "$4" --expected-bucket-owner "$account" \
        --body "$1" >/dev/null || fail "s3://$2/$3 cannot be written"
    echo "uploaded s3://$2/$3"
}
