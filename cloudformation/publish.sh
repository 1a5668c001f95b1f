#!/usr/bin/env bash
# Publishes packages and template, so that others install the provider with one command: into one
# bucket for each Region, under keys that hold the version, with a template whose defaults name them.
#
# From the environment:
#   BUCKET_PREFIX  required: buckets, less -REGION, made when missing
#   REGIONS        Regions to publish in            the Region of the AWS CLI
#   READERS        who else may read the packages: an organization (o-...), accounts, or several of
#                  these; sets the buckets' policies. Without it they are left as they are
#   PACKAGES       folder of the packages           target/package
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

# Prints the template with the published packages as defaults.
render() {
    awk -v bucket="$prefix" -v key="$key" -v processors="$(architectures)" '
        /^  [A-Za-z]+:$/ { parameter = $1 }
        /^    Default:/ && parameter == "CodeBucketPrefix:" { $0 = "    Default: " bucket }
        /^    Default:/ && parameter == "CodeKeyPrefix:" { $0 = "    Default: " key }
        parameter == "Architecture:" {
            split(processors, names, " ")
            all = names[1] (names[2] == "" ? "" : ", " names[2])
            if ($1 == "Default:") $0 = "    Default: " names[1]
            if ($1 == "AllowedValues:") $0 = "    AllowedValues: [" all "]"
        }
        { print }
    ' "$template"
}

# Prints a policy that lets READERS read what is published in the bucket $1.
policy() {
    local reader statements=()
    for reader in ${READERS//,/ }; do
        case $reader in
        o-*) reader='"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "'$reader'"}}' ;;
        *[!0-9]*) fail "READERS has $reader, which is neither an organization nor an account" ;;
        *) reader='"Principal": {"AWS": "arn:'$partition':iam::'$reader':root"}' ;;
        esac
        statements+=("{\"Effect\": \"Allow\", \"Action\": \"s3:GetObject\", $reader,
            \"Resource\": \"arn:$partition:s3:::$1/cfn-container-image-provider/*\"}")
    done
    local IFS=,
    printf '{"Version": "2012-10-17", "Statement": [%s]}' "${statements[*]}"
}

[ -n "${BUCKET_PREFIX:-}" ] || fail 'set BUCKET_PREFIX: packages go to the bucket BUCKET_PREFIX-REGION'
who_and_where
prefix=$BUCKET_PREFIX
key=$(key_prefix)
read -ra processors <<<"$(architectures)"
read -ra regions <<<"${REGIONS:-$region}"
case $partition in
aws-cn) suffix=amazonaws.com.cn console=console.amazonaws.cn ;;
aws-us-gov) suffix=amazonaws.com console=console.amazonaws-us-gov.com ;;
*) suffix=amazonaws.com console=console.aws.amazon.com ;;
esac

echo "Publishes version $(version) for ${processors[*]} from account $account"
printf 'to s3://%s-REGION/%s/ in %s.\n' "$prefix" "${key%/*}" "${regions[*]}"

rendered=$(mktemp)
trap 'rm -f "$rendered"' EXIT
render >"$rendered"
# The template changes without the packages too, and nothing that was published changes.
template_key=${key%/*}/$(digest <"$rendered").yaml
for target in "${regions[@]}"; do
    bucket=$prefix-$target
    ensure_bucket "$bucket" "$target"
    if [ -n "${READERS:-}" ]; then
        # On a line of its own: what fails within an argument ends nothing.
        document=$(policy "$bucket")
        aws s3api put-bucket-policy --bucket "$bucket" --region "$target" --policy "$document" \
            --expected-bucket-owner "$account"
    fi
    for processor in "${processors[@]}"; do
        upload "$packages/bootstrap-$processor.zip" "$bucket" "$key-$processor.zip" "$target"
        [ ! -f "$packages/container-image-$processor" ] ||
            upload "$packages/container-image-$processor" "$bucket" "${key%/*}/container-image-$processor" "$target"
    done
    upload "$rendered" "$bucket" "$template_key" "$target"
done

for target in "${regions[@]}"; do
    url=https://$prefix-$target.s3.$target.$suffix/$template_key
    cat <<END

To install it in $target:

  aws cloudformation create-stack --region $target --stack-name cfn-container-image-provider \\
    --capabilities CAPABILITY_IAM --template-url $url

or in the console:

  https://$target.$console/cloudformation/home?region=$target#/stacks/create/review?stackName=cfn-container-image-provider&templateURL=$url
END
done
