#!/usr/bin/env bash
# Publishes packages and templates, so that others can install the provider with one command. Every Region
# has its own bucket. The provider's template has the published keys, which contain the version, as defaults.
#
# Environment variables:
#   BUCKET_PREFIX  required: buckets without -REGION, created if missing
#   REGIONS        Regions to publish in, separated by commas or spaces      the Region of the AWS CLI
#   READERS        accounts and organizations (o-...) that can read the packages, separated by commas or
#                  spaces, or public for everyone; sets the policies and the public access block of the buckets,
#                  which otherwise stay unchanged
#   PACKAGES       folder of the packages           target/package
set -euo pipefail
# shellcheck source=common.sh
. "$(dirname "$0")/common.sh"

# Prints the template with the published packages as defaults.
render_template() {
    awk -v bucket="$prefix" -v key="$key" -v packaged="$(architectures)" '
        /^  [A-Za-z]+:$/ { parameter = $1 }
        /^    Default:/ && parameter == "CodeBucketPrefix:" { $0 = "    Default: " bucket }
        /^    Default:/ && parameter == "CodeKeyPrefix:" { $0 = "    Default: " key }
        parameter == "Architecture:" {
            split(packaged, names, " ")
            all = names[1] (names[2] == "" ? "" : ", " names[2])
            if ($1 == "Default:") $0 = "    Default: " names[1]
            if ($1 == "AllowedValues:") $0 = "    AllowedValues: [" all "]"
        }
        { print }
    ' "$template"
}

# policy_statements BUCKET: prints the statements of the bucket policy.
policy_statements() {
    local reader principal
    tls_statement "$1"
    for reader in ${READERS//,/ }; do
        case $reader in
        public) principal='"Principal": "*"' ;;
        o-*) principal='"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "'$reader'"}}' ;;
        *) principal='"Principal": {"AWS": "arn:'$partition':iam::'$reader':root"}' ;;
        esac
        printf ', {"Effect": "Allow", "Action": "s3:GetObject", %s,
            "Resource": "arn:%s:s3:::%s/cfn-container-image-provider/*"}' "$principal" "$partition" "$1"
    done
}

# Rejects READERS that would make the packages public by mistake, or have no effect.
check_readers() {
    local reader count=0
    for reader in ${READERS//,/ }; do
        count=$((count + 1))
        case $reader in
        public) [ "$READERS" = public ] || fail 'READERS has public and others; set READERS=public to publish for everyone' ;;
        o-?*) ;;
        *) [[ $reader =~ ^[0-9]{12}$ ]] ||
            fail "READERS has $reader, which is not public, an organization or an account of 12 digits" ;;
        esac
    done
    [ "$count" -gt 0 ] || fail 'READERS contains no reader'
}

# allow_readers BUCKET REGION: sets the public access block and the policy. S3 does not treat a policy for
# accounts or an organization as public:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
allow_readers() {
    local blocks=true document
    [ "$READERS" != public ] || blocks=false
    aws s3api put-public-access-block --bucket "$1" --region "$2" --expected-bucket-owner "$account" \
        --public-access-block-configuration \
        "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=$blocks,RestrictPublicBuckets=$blocks" ||
        fail "the public access block of bucket $1 cannot be changed"
    document=$(policy_statements "$1")
    put_policy "$1" "$2" "$document"
}

[ -n "${BUCKET_PREFIX:-}" ] || fail 'set BUCKET_PREFIX: packages are uploaded to the bucket BUCKET_PREFIX-REGION'
[ -z "${READERS:-}" ] || check_readers
set_account_and_region
prefix=$BUCKET_PREFIX
key=$(key_prefix)
packaged=$(architectures)
regions=${REGIONS:-$region}
regions=${regions//,/ }
# One argument for each Region.
# shellcheck disable=SC2086
check_bucket_prefix "$prefix" $regions
case $partition in
aws-cn) suffix=amazonaws.com.cn console=console.amazonaws.cn ;;
aws-us-gov) suffix=amazonaws.com console=console.amazonaws-us-gov.com ;;
aws-eusc) suffix=amazonaws.eu console=console.amazonaws-eusc.eu ;;
*) suffix=amazonaws.com console=console.aws.amazon.com ;;
esac

echo "Publishes version $(version) for $packaged from account $account"
echo "to s3://$prefix-REGION/${key%/*}/ in $regions."
[ "${READERS:-}" != public ] || echo 'Everyone on the Internet can read the packages.'

rendered=$(mktemp)
trap 'rm -f "$rendered"' EXIT
render_template >"$rendered"
# The template can change without the packages, and published objects never change.
template_key=${key%/*}/$(digest <"$rendered").yaml
refresh_key=${key%/*}/image-refresh-$(digest <"$refresh_template").yaml
for target in $regions; do
    bucket=$prefix-$target
    ensure_bucket "$bucket" "$target"
    [ -z "${READERS:-}" ] || allow_readers "$bucket" "$target"
    for architecture in $packaged; do
        upload "$packages/bootstrap-$architecture.zip" "$bucket" "$key-$architecture.zip" "$target"
        [ ! -f "$packages/container-image-$architecture" ] ||
            upload "$packages/container-image-$architecture" "$bucket" "${key%/*}/container-image-$architecture" "$target"
    done
    upload "$rendered" "$bucket" "$template_key" "$target"
    upload "$refresh_template" "$bucket" "$refresh_key" "$target"
done

for target in $regions; do
    folder=https://$prefix-$target.s3.$target.$suffix
    url=$folder/$template_key
    cat <<END

To install the provider in $target, run:

  aws cloudformation create-stack --region $target --stack-name cfn-container-image-provider \\
    --capabilities CAPABILITY_NAMED_IAM --template-url $url

or open in the console:

  https://$target.$console/cloudformation/home?region=$target#/stacks/create/review?stackName=cfn-container-image-provider&templateURL=$url

To keep a list of images current (docs/refresh.md), then run:

  aws cloudformation create-stack --region $target --stack-name image-refresh \\
    --capabilities CAPABILITY_IAM --template-url $folder/$refresh_key
END
done
