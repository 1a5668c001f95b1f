#!/usr/bin/env bash
# Installs or updates the provider in your own account and Region, with the packages that
# package.sh made.
#
# From the environment, all optional:
#   STACK          name of the stack                        cfn-container-image-provider
#   PARAMETERS     parameters of the template, as "Name=Value Name=Value"; those of an earlier
#                  deployment stay as they are
#   ARCHITECTURE   arm64 or x86_64                          the first of them that was packaged
#   BUCKET_PREFIX  bucket, less -REGION, made when missing  cfn-container-image-provider-ACCOUNT
#   PACKAGES       folder of the packages                   target/package
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

who_and_where
key=$(key_prefix)
read -r first _ <<<"$(architectures)"
architecture=${ARCHITECTURE:-$first}
package=$packages/bootstrap-$architecture.zip
[ -f "$package" ] || fail "there is no package for $architecture in $packages; run make package"
prefix=${BUCKET_PREFIX:-cfn-container-image-provider-$account}
# Names of buckets and keys have no spaces, nor have the parameters' values.
read -ra parameters <<<"${PARAMETERS:-}"

# Else the function would go on with the program in that image, and all would look well.
image=$(aws cloudformation describe-stacks --stack-name "$stack" --region "$region" --output text \
    --query "Stacks[0].Parameters[?ParameterKey=='CodeImageUri'].ParameterValue" 2>&1) ||
    [[ $image == *'does not exist'* ]] || fail "stack $stack cannot be looked at: $image"
# A stack whose change set failed has no parameters, which the command line tells as None.
[[ $image != *'does not exist'* && $image != None ]] || image=
[ -z "$image" ] || [[ " ${PARAMETERS:-}" == *" CodeImageUri="[!\ ]* ]] ||
    fail "stack $stack runs the image $image, not a zip; build and push a new one (docs/installation.md), and set PARAMETERS=\"CodeImageUri=...\""

echo "Installs the provider, version $(version) for $architecture, as stack $stack"
echo "in account $account, Region $region; code in s3://$prefix-$region/$key-$architecture.zip."

ensure_bucket "$prefix-$region" "$region"
upload "$package" "$prefix-$region" "$key-$architecture.zip" "$region"
aws cloudformation deploy --stack-name "$stack" --template-file "$template" \
    --capabilities CAPABILITY_IAM --no-fail-on-empty-changeset --region "$region" \
    --parameter-overrides "CodeBucketPrefix=$prefix" "CodeKeyPrefix=$key" "Architecture=$architecture" \
    ${parameters[@]+"${parameters[@]}"} ||
    fail "the stack was not deployed; aws cloudformation describe-stack-events --stack-name $stack says why. After a first deployment that failed, make delete before the next"
aws cloudformation describe-stacks --stack-name "$stack" --region "$region" \
    --query "Stacks[0].Outputs[?OutputKey=='Arn'].OutputValue" --output text |
    sed 's/^/ServiceToken of Custom::ContainerImage: /'
