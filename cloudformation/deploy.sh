#!/usr/bin/env bash
# Installs or updates the provider in your account and Region, with the packages of package.sh.
#
# Optional environment variables:
#   STACK          name of the stack                        cfn-container-image-provider
#   PARAMETERS     parameters of the template, as "Name=Value Name=Value"; others keep the value of the
#                  previous deployment
#   TAGS           tags of the stack and its resources, as "Key=Value Key=Value"; values without spaces
#   ROLE_ARN       service role of CloudFormation           none: your own permissions
#   ARCHITECTURE   arm64 or x86_64                          the installed one, or the first that was packaged
#   BUCKET_PREFIX  bucket without -REGION                   cfn-container-image-provider-ACCOUNT
#   PACKAGES       folder of the packages                   target/package
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

set_account_and_region
key=$(key_prefix)
# "Name<Tab>Value" of each parameter. A stack whose first change set failed has none.
installed=$(aws cloudformation describe-stacks --stack-name "$stack" --region "$region" --output text \
    --query 'Stacks[0].Parameters[].[ParameterKey, ParameterValue]' 2>&1) ||
    [[ $installed == *'does not exist'* ]] || fail "stack $stack cannot be read: $installed"
# Prints the value of an installed parameter.
installed_value() {
    awk -F '\t' -v name="$1" '$1 == name { print $2 }' <<<"$installed"
}

read -r first _ <<<"$(architectures)"
architecture=${ARCHITECTURE:-$(installed_value Architecture)}
architecture=${architecture:-$first}
package=$packages/bootstrap-$architecture.zip
[ -f "$package" ] || fail "$packages contains no package for $architecture; run make package"
prefix=${BUCKET_PREFIX:-cfn-container-image-provider-$account}
options=()
if [ -n "${TAGS:-}" ]; then
    read -ra tags <<<"$TAGS"
    options+=(--tags ${tags[@]+"${tags[@]}"})
fi
[ -z "${ROLE_ARN:-}" ] || options+=(--role-arn "$ROLE_ARN")
# Bucket names, keys and values of parameters contain no spaces.
read -ra parameters <<<"${PARAMETERS:-}"

# A function that runs an image would keep it, although the deployment succeeds.
image=$(installed_value CodeImageUri)
[ -z "$image" ] || [[ " ${PARAMETERS:-}" == *" CodeImageUri="[!\ ]* ]] ||
    fail "stack $stack runs the image $image, not a zip file; build and push a new image (docs/install.md), and set PARAMETERS=\"CodeImageUri=...\""

echo "Installs the provider, version $(version) for $architecture, as stack $stack"
echo "in account $account, Region $region; code in s3://$prefix-$region/$key-$architecture.zip."

ensure_bucket "$prefix-$region" "$region"
upload "$package" "$prefix-$region" "$key-$architecture.zip" "$region"
# CAPABILITY_NAMED_IAM includes CAPABILITY_IAM, and is required if RoleName is set.
aws cloudformation deploy --stack-name "$stack" --template-file "$template" \
    --capabilities CAPABILITY_NAMED_IAM --no-fail-on-empty-changeset --region "$region" \
    --parameter-overrides "CodeBucketPrefix=$prefix" "CodeKeyPrefix=$key" "Architecture=$architecture" \
    ${parameters[@]+"${parameters[@]}"} ${options[@]+"${options[@]}"} ||
    fail "the stack was not deployed; run aws cloudformation describe-stack-events --stack-name $stack for the reason. After a first deployment that failed, run make delete before the next one"
aws cloudformation describe-stacks --stack-name "$stack" --region "$region" \
    --query "Stacks[0].Outputs[?OutputKey=='Arn'].OutputValue" --output text |
    sed 's/^/ServiceToken of Custom::ContainerImage: /'
