#!/usr/bin/env bash
# Deletes the provider's stack, unless stacks of the same account and Region still use it: without
# the provider none of them can be changed or deleted any more.
#
# From the environment, all optional:
#   STACK   name of the stack        cfn-container-image-provider
#   FORCE   1 deletes it all the same
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

# Prints the names of stacks that exist. A stack that failed to be created may still need its
# provider to be deleted, so all but the deleted ones count.
stacks() {
    aws cloudformation list-stacks --region "$region" --output text \
        --query "StackSummaries[?StackStatus!='DELETE_COMPLETE'].[StackName]"
}

# uses STACK: whether a resource of it is made by the provider. Its type says so, or, as any type is
# allowed for a custom resource, its template names the function.
uses() {
    local types template
    types=$(aws cloudformation list-stack-resources --region "$region" --stack-name "$1" --output text \
        --query "StackResourceSummaries[?ResourceStatus!='DELETE_COMPLETE'].[ResourceType]") ||
        fail "the resources of stack $1 cannot be listed"
    if grep -qx 'Custom::ContainerImage' <<<"$types"; then
        return 0
    fi
    grep -qE '^(Custom::|AWS::CloudFormation::CustomResource)' <<<"$types" || return 1
    template=$(aws cloudformation get-template --region "$region" --stack-name "$1" --query TemplateBody) ||
        fail "the template of stack $1 cannot be read"
    grep -qF "function:$name" <<<"$template"
}

# Lists the stacks that use the provider, and refuses to go on unless there are none.
check_users() {
    local candidate candidates users=()
    candidates=$(stacks | sort -u) || fail 'the stacks cannot be listed'
    for candidate in $candidates; do
        [ "$candidate" != "$stack" ] || continue
        if uses "$candidate"; then users+=("$candidate"); fi
    done
    [ ${#users[@]} -gt 0 ] || return 0
    echo 'These stacks use it:'
    printf '  %s\n' "${users[@]}"
    [ "${FORCE:-}" = 1 ] || fail 'nothing was deleted; delete those stacks first, or set FORCE=1'
}

who_and_where
state=$(aws cloudformation describe-stacks --region "$region" --stack-name "$stack" --output text \
    --query "Stacks[0].[StackStatus, Outputs[?OutputKey=='Name'].OutputValue | [0]]") ||
    fail "there is no stack $stack in account $account, Region $region"
read -r status name <<<"$state"

case $status in
ROLLBACK_COMPLETE | REVIEW_IN_PROGRESS)
    echo "Deletes what is left of stack $stack, which was never complete, in account $account, Region $region."
    ;;
*)
    echo "Deletes the provider $name, stack $stack in account $account, Region $region."
    echo 'Images that were copied stay, and so does the bucket with the code.'
    check_users
    ;;
esac
aws cloudformation delete-stack --region "$region" --stack-name "$stack"
aws cloudformation wait stack-delete-complete --region "$region" --stack-name "$stack" ||
    fail "the stack was not deleted; aws cloudformation describe-stack-events --stack-name $stack says why"
echo 'It is deleted.'
