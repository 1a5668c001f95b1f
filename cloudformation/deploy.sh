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

# Prints the names of the template's parameters.
template_parameters() {
    awk '/^[A-Za-z]/ { section = $1 }
        section == "Parameters:" && /^  [A-Za-z0-9]+:$/ { print substr($1, 1, length($1) - 1) }' "$template"
}

# similar_parameter NAME: prints the template's parameter with the smallest Levenshtein distance.
similar_parameter() {
    template_parameters | awk -v given="$1" '
        function distance(a, b,    i, j, d, least) {
            for (j = 0; j <= length(b); j++) d[0, j] = j
            for (i = 1; i <= length(a); i++) {
                d[i, 0] = i
                for (j = 1; j <= length(b); j++) {
                    least = d[i - 1, j - 1] + (substr(a, i, 1) != substr(b, j, 1))
                    if (d[i - 1, j] + 1 < least) least = d[i - 1, j] + 1
                    if (d[i, j - 1] + 1 < least) least = d[i, j - 1] + 1
                    d[i, j] = least
                }
            }
            return d[length(a), length(b)]
        }
        {
            current = distance(tolower(given), tolower($0))
            if (NR == 1 || current < smallest) { smallest = current; name = $0 }
        }
        END { print name }'
}

# check_pairs VARIABLE KEY [PAIR...]: rejects words that are not KEY=Value, and repeated keys.
check_pairs() {
    local variable=$1 key=$2 pair seen=' '
    shift 2
    for pair in "$@"; do
        [[ $pair == ?*=* ]] || fail "$variable has $pair; expected $key=Value, without spaces in the value"
        [[ $seen != *" ${pair%%=*} "* ]] || fail "$variable sets ${pair%%=*} twice; separate list items by commas"
        seen+="${pair%%=*} "
    done
}

# check_parameters [PAIR...]: rejects unknown names, which aws cloudformation deploy ignores.
check_parameters() {
    local pair name
    check_pairs PARAMETERS Name "$@"
    for pair in "$@"; do
        name=${pair%%=*}
        grep -qxF -e "$name" <<<"$known_parameters" ||
            fail "the template has no parameter $name; the most similar name is $(similar_parameter "$name")"
        case $name in
        Architecture) fail 'PARAMETERS sets Architecture; set ARCHITECTURE instead' ;;
        CodeBucketPrefix | CodeKeyPrefix) fail "PARAMETERS sets $name, which is set by the deployment" ;;
        esac
    done
}

# Prints the value of an installed parameter.
installed_value() {
    awk -F '\t' -v name="$1" '$1 == name { print $2 }' <<<"$installed"
}

# Fails with the next step after aws cloudformation deploy has printed the error.
deployment_failed() {
    local status reason
    status=$(aws cloudformation describe-stacks --stack-name "$stack" --region "$region" --output text \
        --query 'Stacks[0].StackStatus' 2>/dev/null) || fail "stack $stack was not created"
    reason="stack $stack was not deployed; run aws cloudformation describe-stack-events --region $region --stack-name $stack for the reason"
    case $status in
    # CloudFormation cannot update a stack whose creation failed.
    ROLLBACK_COMPLETE | ROLLBACK_FAILED) fail "$reason, and make delete STACK=$stack before the next deployment" ;;
    *) fail "$reason" ;;
    esac
}

# Values contain no spaces. Lines are separators too.
read -d '' -ra parameters <<<"${PARAMETERS:-}" || true
read -d '' -ra tags <<<"${TAGS:-}" || true
known_parameters=$(template_parameters)
check_parameters ${parameters[@]+"${parameters[@]}"}
check_pairs TAGS Key ${tags[@]+"${tags[@]}"}
case ${ARCHITECTURE:-} in
'' | arm64 | x86_64) ;;
*) fail "ARCHITECTURE is $ARCHITECTURE; expected arm64 or x86_64" ;;
esac

set_account_and_region
key=$(key_prefix)
prefix=${BUCKET_PREFIX:-cfn-container-image-provider-$account}
check_bucket_prefix "$prefix" "$region"
# "Name<Tab>Value" of the status and of each parameter. A stack whose first change set failed has none.
installed=$(aws cloudformation describe-stacks --stack-name "$stack" --region "$region" --output text \
    --query "Stacks[0].[[['StackStatus', StackStatus]], Parameters[].[ParameterKey, ParameterValue]][]" 2>&1) ||
    [[ $installed == *'does not exist'* ]] || fail "stack $stack cannot be read: $installed"
status=$(installed_value StackStatus)
if [ -n "$status" ]; then
    check_is_provider "$status" "$(awk -F '\t' '$1 == "CodeKeyPrefix" { print $1 }' <<<"$installed")"
fi

read -r first _ <<<"$(architectures)"
architecture=${ARCHITECTURE:-$(installed_value Architecture)}
architecture=${architecture:-$first}
package=$packages/bootstrap-$architecture.zip
[ -f "$package" ] || fail "$packages contains no package for $architecture; run make package"
options=()
[ ${#tags[@]} -eq 0 ] || options+=(--tags ${tags[@]+"${tags[@]}"})
[ -z "${ROLE_ARN:-}" ] || options+=(--role-arn "$ROLE_ARN")

# A function that runs an image would keep it, although the deployment succeeds.
image=$(installed_value CodeImageUri)
[ -z "$image" ] || [[ " ${parameters[*]-}" == *" CodeImageUri="[!\ ]* ]] ||
    fail "stack $stack runs the image $image, not a zip file; build and push a new image (docs/install.md), and set PARAMETERS=\"CodeImageUri=...\""

echo "Installs the provider, version $(version) for $architecture, as stack $stack"
echo "in account $account, Region $region; code in s3://$prefix-$region/$key-$architecture.zip."
# Values can contain the password of a proxy.
names=none
[ ${#parameters[@]} -eq 0 ] || names=${parameters[*]%%=*}
echo "Sets these parameters: $names. Other parameters keep their values."

ensure_bucket "$prefix-$region" "$region"
upload "$package" "$prefix-$region" "$key-$architecture.zip" "$region"
# CAPABILITY_NAMED_IAM includes CAPABILITY_IAM, and is required if RoleName is set.
aws cloudformation deploy --stack-name "$stack" --template-file "$template" \
    --capabilities CAPABILITY_NAMED_IAM --no-fail-on-empty-changeset --region "$region" \
    --parameter-overrides "CodeBucketPrefix=$prefix" "CodeKeyPrefix=$key" "Architecture=$architecture" \
    ${parameters[@]+"${parameters[@]}"} ${options[@]+"${options[@]}"} ||
    deployment_failed
function=$(stack_function) || fail "stack $stack has no function"
echo "ServiceToken of Custom::ContainerImage: arn:$partition:lambda:$region:$account:function:$function"
