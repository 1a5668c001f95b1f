"""What the provider template refuses, and what it makes of its parameters.

The stand-in for AWS ignores Rules and Conditions of some resources, so they are evaluated here.
"""

import json
import unittest
from fnmatch import fnmatch

from template import PROVIDER, Evaluation, load, role_statements

CODE = {"CodeBucketPrefix": "acme", "CodeKeyPrefix": "provider/1/bootstrap"}
IMAGE = {"CodeImageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/provider:1"}
VPC, SUBNETS, GROUPS = "vpc-0123456789abcdef0", "subnet-01234567,subnet-89abcdef", "sg-01234567"
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub-AbCdEf"


def evaluate(region: str = "eu-west-1", **parameters) -> Evaluation:
    return Evaluation(load(PROVIDER), parameters, region)


def function(**parameters) -> dict:
    return evaluate(**parameters).resources()["CFNCustomProvider"]["Properties"]


class Rules(unittest.TestCase):
    def test_what_is_given_by_half_is_refused_before_anything_is_created(self):
        for given, said in [
            ({}, "Give CodeBucketPrefix and CodeKeyPrefix, or CodeImageUri"),
            ({"CodeBucketPrefix": "acme"}, "Give CodeBucketPrefix and CodeKeyPrefix"),
            ({"CodeKeyPrefix": "provider"}, "Give CodeBucketPrefix and CodeKeyPrefix"),
            ({**CODE, "AppVPC": VPC}, "AppVPC needs Subnets"),
            ({**CODE, "AppVPC": VPC, "SecurityGroupIds": GROUPS}, "AppVPC needs Subnets"),
            ({**CODE, "Subnets": SUBNETS}, "Subnets need AppVPC"),
            ({**CODE, "Subnets": SUBNETS, "SecurityGroupIds": GROUPS}, "Subnets need AppVPC"),
            ({**CODE, "SecurityGroupIds": GROUPS}, "SecurityGroupIds need AppVPC and Subnets"),
            ({**CODE, "AllowIpv6": "true"}, "AllowIpv6 needs AppVPC and Subnets"),
            ({**CODE, "RegistryCredentials": f"docker.io={SECRET}"}, "RegistryCredentials need permission"),
            ({**CODE, "KmsKeyArns": "arn:aws:kms:eu-west-1:123456789012:key/1"}, "KmsKeyArns are the keys"),
            ({**IMAGE, "LayerArns": "arn:aws:lambda:eu-west-1:1:layer:a:1"}, "LayerArns does not go"),
        ]:
            with self.subTest(given):
                refusals = evaluate(**given).refusals()
                self.assertTrue(any(text.startswith(said) for text in refusals), refusals)

    def test_what_is_whole_is_accepted(self):
        for given in [
            CODE,
            IMAGE,
            {**CODE, **IMAGE},
            {**CODE, "AppVPC": VPC, "Subnets": SUBNETS},
            {**CODE, "AppVPC": VPC, "Subnets": SUBNETS, "SecurityGroupIds": GROUPS, "AllowIpv6": "true"},
            {**CODE, "RegistryCredentials": f"docker.io={SECRET}", "SecretArns": SECRET},
        ]:
            with self.subTest(given):
                self.assertEqual(evaluate(**given).refusals(), [])


class Function(unittest.TestCase):
    def test_a_zip_and_an_image_are_two_forms_of_the_same_function(self):
        packed = function(**CODE)
        self.assertEqual(packed["PackageType"], "Zip")
        self.assertEqual(
            packed["Code"], {"S3Bucket": "acme-eu-west-1", "S3Key": "provider/1/bootstrap-arm64.zip"}
        )
        self.assertEqual((packed["Runtime"], packed["Handler"]), ("provided.al2023", "bootstrap"))
        image = function(**IMAGE)
        self.assertEqual((image["PackageType"], image["Code"]), ("Image", {"ImageUri": IMAGE["CodeImageUri"]}))
        self.assertFalse({"Runtime", "Handler", "Layers"} & image.keys())
        self.assertEqual(packed["FunctionName"], "cfn-container-image-provider")
        self.assertEqual(packed["FunctionName"], image["FunctionName"])

    def test_there_is_no_vpc_configuration_unless_there_is_a_vpc(self):
        self.assertNotIn("VpcConfig", function(**CODE))
        inside = function(**CODE, AppVPC=VPC, Subnets=SUBNETS, SecurityGroupIds=GROUPS)
        self.assertEqual(
            inside["VpcConfig"],
            {"SubnetIds": SUBNETS.split(","), "SecurityGroupIds": [GROUPS], "Ipv6AllowedForDualStack": "false"},
        )

    def test_without_security_groups_one_is_made_that_lets_https_out(self):
        resources = evaluate(**CODE, AppVPC=VPC, Subnets=SUBNETS).resources()
        group = resources["EgressSecurityGroup"]["Properties"]
        self.assertEqual(group["VpcId"], VPC)
        self.assertEqual({rule["FromPort"] for rule in group["SecurityGroupEgress"]}, {443})
        self.assertNotIn("SecurityGroupIngress", group)
        used = resources["CFNCustomProvider"]["Properties"]["VpcConfig"]["SecurityGroupIds"]
        self.assertEqual(used, ["<EgressSecurityGroup.GroupId>"])
        for without in [{}, {"AppVPC": VPC, "Subnets": SUBNETS, "SecurityGroupIds": GROUPS}]:
            self.assertNotIn("EgressSecurityGroup", evaluate(**CODE, **without).resources())

    def test_the_watchdog_is_the_same_program_outside_the_vpc(self):
        resources = evaluate(**CODE, AppVPC=VPC, Subnets=SUBNETS).resources()
        provider, watchdog = (resources[name]["Properties"] for name in ["CFNCustomProvider", "Watchdog"])
        self.assertEqual(provider["Code"], watchdog["Code"])
        self.assertNotIn("VpcConfig", watchdog)
        self.assertLess(watchdog["Timeout"], provider["Timeout"])
        failures = resources["Failures"]["Properties"]
        self.assertEqual(failures["DestinationConfig"]["OnFailure"]["Destination"], "<Watchdog.Arn>")
        self.assertEqual((failures["MaximumRetryAttempts"], failures["MaximumEventAgeInSeconds"]), (1, 3600))

    def test_it_is_told_at_once_when_the_watchdog_gave_up(self):
        resources = evaluate(**CODE, AlarmTopic="arn:aws:sns:eu-west-1:123456789012:alarms").resources()
        alarm = resources["GivenUpAlarm"]["Properties"]
        self.assertEqual((alarm["Namespace"], alarm["MetricName"]), ("AWS/Lambda", "AsyncEventsDropped"))
        self.assertEqual(alarm["Dimensions"], [{"Name": "FunctionName", "Value": "<Watchdog>"}])
        alarms = [item["Properties"] for item in resources.values() if item["Type"] == "AWS::CloudWatch::Alarm"]
        self.assertTrue(all(item["AlarmActions"] == ["arn:aws:sns:eu-west-1:123456789012:alarms"] for item in alarms))

    def test_mirrors_of_your_own_come_before_ecr_public(self):
        twin = "docker.io/library=public.ecr.aws/docker/library"
        own = "docker.io=mirror.acme.example/hub"
        for given, expected in [
            ({}, twin),
            ({"EcrPublicTwin": "false"}, ""),
            ({"SourceMirrors": own}, f"{own},{twin}"),
            ({"SourceMirrors": own, "EcrPublicTwin": "false"}, own),
        ]:
            variables = function(**CODE, **given)["Environment"]["Variables"]
            self.assertEqual(variables["SOURCE_MIRRORS"], expected)

    def test_the_environment_fits_into_what_lambda_allows(self):
        variables = function(**CODE)["Environment"]["Variables"]
        size = sum(len(name) + len(value) for name, value in variables.items())
        # 4 KB in all; CaBundle and lists need the room.
        self.assertLess(size, 512)


class Policies(unittest.TestCase):
    def statements(self, **parameters) -> dict:
        return {item["Sid"]: item for item in role_statements(evaluate(**parameters).resources())}

    def test_nothing_is_allowed_on_everything_but_what_aws_cannot_narrow(self):
        everything = {**CODE, "AppVPC": VPC, "Subnets": SUBNETS, "SecretArns": SECRET}
        broad = {
            sid for sid, item in self.statements(**everything).items()
            if item["Resource"] == "*" and item["Effect"] == "Allow"
        }
        self.assertEqual(broad, {"Login", "ReadEcrPublic", "AttachToVpc"})

    def test_repositories_are_those_of_the_account_unless_they_are_named(self):
        own = ["arn:aws-cn:ecr:*:123456789012:repository/*"]
        self.assertEqual(self.statements(**CODE, region="cn-north-1")["Copy"]["Resource"], own)
        named = "arn:aws:ecr:eu-west-1:123456789012:repository/base/*"
        statements = self.statements(**CODE, RepositoryArns=f"{named},{named}2")
        self.assertEqual(statements["Copy"]["Resource"], [named, f"{named}2"])

    def test_secrets_keys_and_interfaces_are_allowed_only_when_they_are_asked_for(self):
        optional = {
            "ReadSecrets", "ReadParameters", "DecryptSecretsAndParameters", "AttachToVpc",
            "OnlyLambdaItselfAttaches", "FillPullThroughCache",
        }
        self.assertFalse(optional & self.statements(**CODE).keys())
        asked = self.statements(
            **CODE, AppVPC=VPC, Subnets=SUBNETS, SecretArns=SECRET,
            ParameterArns="arn:aws:ssm:eu-west-1:123456789012:parameter/hub",
            KmsKeyArns="arn:aws:kms:eu-west-1:123456789012:key/1",
            PullThroughRepositoryArns="arn:aws:ecr:eu-west-1:123456789012:repository/hub/*",
        )
        self.assertLessEqual(optional, asked.keys())

    def test_ecr_publics_logins_are_asked_for_where_they_exist(self):
        self.assertIn("ReadEcrPublic", self.statements(**CODE))
        for region in ["cn-north-1", "us-gov-west-1"]:
            self.assertNotIn("ReadEcrPublic", self.statements(**CODE, region=region))

    def test_no_iam_resource_has_a_name_so_capability_iam_suffices(self):
        for resource in load(PROVIDER)["Resources"].values():
            if resource["Type"].startswith("AWS::IAM::"):
                # The name of an AWS::IAM::Policy is one within its role.
                self.assertIn(resource["Type"], ["AWS::IAM::Role", "AWS::IAM::Policy"])
                self.assertNotIn("RoleName", resource["Properties"])

    def test_a_function_that_leaves_its_vpc_keeps_the_permission_to_remove_its_interfaces(self):
        template = load(PROVIDER)
        role = json.dumps(template["Resources"]["LambdaRole"])
        self.assertNotIn("ec2:", role)
        inside = evaluate(**CODE, AppVPC=VPC, Subnets=SUBNETS).resources()
        self.assertEqual(inside["VpcAccess"]["Properties"]["Roles"], ["<LambdaRole>"])
        self.assertEqual(inside["EgressSecurityGroup"]["DependsOn"], "VpcAccess")
        # So CloudFormation makes the permission before it, and takes it away after it.
        self.assertIn('{"Ref": "VpcAccess"}', json.dumps(template["Resources"]["CFNCustomProvider"]))
        self.assertNotIn("VpcAccess", evaluate(**CODE).resources())

    def test_a_key_is_used_by_way_of_the_services_whose_names_differ_by_partition(self):
        for region, suffix in [("eu-west-1", "amazonaws.com"), ("cn-north-1", "amazonaws.com.cn")]:
            key = "arn:aws:kms:eu-west-1:123456789012:key/1"
            statements = self.statements(**CODE, SecretArns=SECRET, KmsKeyArns=key, region=region)
            via = statements["DecryptSecretsAndParameters"]["Condition"]["StringLike"]["kms:ViaService"]
            for service in ["secretsmanager", "ssm"]:
                self.assertTrue(any(fnmatch(f"{service}.{region}.{suffix}", pattern) for pattern in via))
            self.assertFalse(any(fnmatch(f"lambda.{region}.{suffix}", pattern) for pattern in via))

    def test_the_original_templates_names_are_kept(self):
        template = load(PROVIDER)
        self.assertLessEqual({"CFNCustomProvider", "LambdaRole", "CFNCustomProviderLogGroup"}, template["Resources"].keys())
        self.assertLessEqual({"AppVPC", "Subnets", "SecurityGroupIds"}, template["Parameters"].keys())
        self.assertNotIn("Transform", template)


if __name__ == "__main__":
    unittest.main()
