#!/usr/bin/env bash
# Deletes the provider's stack unless other stacks of the account and Region use it, because those cannot be
# changed or deleted without the provider. Rejects stacks that do not install the provider.
#
# The state table and the images remain. The search does not find stacks in other Regions and accounts,
# or custom resources that deleted stacks have retained.
#
# Optional environment variables:
#   STACK   name of the stack        cfn-container-image-provider
#   FORCE   1 deletes the stack although others use it
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

# Prints the names of all stacks that are not deleted. A stack whose creation failed can still need the
# provider for its deletion.
stacks() {
    aws cloudformation list-stacks --region "$region" --output text \
        --query "StackSummaries[?StackStatus!='DELETE_COMPLETE'].[StackName]"
}

# uses_provider STACK: succeeds if the stack has a resource of the provider. A custom resource can have any
# type, so the template is searched for the function's name as well.
uses_provider() {
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

# Lists the stacks that use the provider, and fails if there are any.
check_users() {
    local candidate candidates users=()
    candidates=$(stacks | sort -u) || fail 'the stacks cannot be listed'
    for candidate in $candidates; do
        [ "$candidate" != "$stack" ] || continue
        if uses_provider "$candidate"; then users+=("$candidate"); fi
    done
    [ ${#users[@]} -gt 0 ] || return 0
    echo 'These stacks use it:'
    printf '  %s\n' ${users[@]+"${users[@]}"}
    [ "${FORCE:-}" = 1 ] || fail 'nothing was deleted; delete those stacks first, or set FORCE=1'
}

set_account_and_region
# The AWS CLI prints None for outputs that do not exist.
state=$(aws cloudformation describe-stacks --region "$region" --stack-name "$stack" --output text \
    --query "Stacks[0].[StackStatus, Outputs[?OutputKey=='Name'].OutputValue | [0],
        Outputs[?OutputKey=='StateTableName'].OutputValue | [0],
        Parameters[?ParameterKey=='CodeKeyPrefix'].ParameterKey | [0]]") ||
    fail "stack $stack does not exist in account $account, Region $region"
read -r status name table parameter <<<"$state"
check_is_provider "$status" "$parameter"

case $status in
ROLLBACK_COMPLETE | ROLLBACK_FAILED | REVIEW_IN_PROGRESS)
    echo "Deletes the rest of stack $stack, whose creation failed, in account $account, Region $region."
    ;;
*)
    echo "Deletes the provider $name, stack $stack in account $account, Region $region."
    echo 'The copied images and the bucket with the code remain.'
    case $table in
    none | None) ;;
    *) echo "The state table $table remains too. To use it again, install the provider with StateTable=$table." ;;
    esac
    echo 'Not checked: stacks in other Regions and accounts, and custom resources that deleted stacks retained.'
    check_users
    ;;
esac
aws cloudformation delete-stack --region "$region" --stack-name "$stack"
aws cloudformation wait stack-delete-complete --region "$region" --stack-name "$stack" ||
    fail "the stack was not deleted; run aws cloudformation describe-stack-events --region $region --stack-name $stack for the reason"
echo 'The stack was deleted.'
