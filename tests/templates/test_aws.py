"""Requirements of AWS that cfn-lint and moto do not check.

Each has a link to its documentation or to a report.
"""

import re
import subprocess
import tempfile
import unittest
from collections import Counter
from pathlib import Path

import yaml

from template import PROVIDER, ROOT, SAMPLES, Evaluation, load, role_statements

# Maximum size in bytes of a template that `aws cloudformation deploy` sends without a bucket:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
MAX_BODY = 51_200
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html
RULE_FUNCTIONS = {
    "Fn::And", "Fn::Contains", "Fn::EachMemberEquals", "Fn::EachMemberIn", "Fn::Equals", "Fn::Not", "Fn::Or",
    "Fn::RefAll", "Fn::ValueOf", "Fn::ValueOfAll", "Ref",
}
# Interface endpoints with another prefix in China:
# https://github.com/aws/aws-cdk/blob/main/packages/aws-cdk-lib/aws-ec2/lib/vpc-endpoint.ts
OTHER_PREFIX_IN_CHINA = {"ecr.api", "ecr.dkr", "lambda"}

# Parameters of samples/image-pipeline.yaml without a default.
PIPELINE = {
    "ConnectionArn": "arn:aws:codeconnections:eu-west-1:123456789012:connection/1",
    "GitHubRepo": "acme/images",
    "ContainerImageCommand": "s3://acme/container-image-x86_64",
}


def sample(name: str, region: str = "eu-west-1", **parameters: str) -> dict:
    """Returns the resources of a sample."""
    return Evaluation(load(ROOT / "samples" / f"{name}.yaml"), parameters, region).resources()


def statements(role: dict) -> list[dict]:
    """Returns the statements of a role's inline policies."""
    policies = role["Properties"]["Policies"]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def functions(node) -> set[str]:
    """Returns the names of the functions in a part of a template."""
    if isinstance(node, list):
        return set().union(*map(functions, node))
    if not isinstance(node, dict):
        return set()
    return set(node).union(*map(functions, node.values()))


class Templates(unittest.TestCase):
    def test_a_template_can_be_deployed_without_a_bucket(self):
        for path in [PROVIDER, *SAMPLES]:
            self.assertLess(path.stat().st_size, MAX_BODY, path.name)

    def test_rules_use_only_functions_that_rules_support(self):
        for path in [PROVIDER, *SAMPLES]:
            for rule in load(path).get("Rules", {}).values():
                used = functions(rule.get("RuleCondition", {}))
                for assertion in rule["Assertions"]:
                    used |= functions(assertion["Assert"])
                self.assertLessEqual(used, RULE_FUNCTIONS, path.name)


class Samples(unittest.TestCase):
    def test_every_allowed_cidr_block_has_room_for_the_subnets(self):
        template = load(ROOT / "samples" / "vpc.yaml")
        pattern = template["Parameters"]["CidrBlock"]["AllowedPattern"]
        subnets = [item for item in template["Resources"].values() if item["Type"] == "AWS::EC2::Subnet"]
        # Amazon VPC accepts blocks from /16 to /28.
        accepted = [length for length in range(33) if re.fullmatch(pattern, f"10.0.0.0/{length}")]
        self.assertTrue(accepted and set(accepted) <= set(range(16, 29)), accepted)
        for subnet in subnets:
            index, cidr = subnet["Properties"]["CidrBlock"]["Fn::Select"]
            _, count, bits = cidr["Fn::Cidr"]
            self.assertLess(index, count)
            self.assertLessEqual(count, 2 ** (32 - bits - max(accepted)))

    def test_zones_without_lambda_can_be_avoided(self):
        # https://github.com/awslabs/aws-orbit-workbench/issues/320
        zones = {"AvailabilityZone1": "us-east-1c", "AvailabilityZone2": "us-east-1d"}
        for given, expected in [({}, {"<GetAZs0>", "<GetAZs1>"}), (zones, set(zones.values()))]:
            subnets = [item for item in sample("vpc", **given).values() if item["Type"] == "AWS::EC2::Subnet"]
            self.assertEqual({subnet["Properties"]["AvailabilityZone"] for subnet in subnets}, expected)

    def test_endpoints_have_the_names_of_their_partition(self):
        for region in ["eu-west-1", "us-gov-west-1", "cn-north-1"]:
            endpoints = [
                item["Properties"]
                for item in sample("vpc", region, ProviderEndpoints="true", TaskEndpoints="true").values()
                if item["Type"] == "AWS::EC2::VPCEndpoint"
            ]
            services = {endpoint["ServiceName"].split(f"{region}.")[1] for endpoint in endpoints}
            self.assertLess(OTHER_PREFIX_IN_CHINA, services)
            for endpoint in endpoints:
                prefix, service = endpoint["ServiceName"].split(f"com.amazonaws.{region}.")
                expected = "cn." if region == "cn-north-1" and service in OTHER_PREFIX_IN_CHINA else ""
                self.assertEqual(prefix, expected, endpoint["ServiceName"])

    def test_only_free_endpoints_exist_by_default(self):
        for given, expected in [
            ({}, {"Gateway": 2}),
            ({"ProviderEndpoints": "true"}, {"Gateway": 2, "Interface": 5}),
            ({"TaskEndpoints": "true"}, {"Gateway": 2, "Interface": 2}),
        ]:
            resources = sample("vpc", **given)
            endpoints = [item for item in resources.values() if item["Type"] == "AWS::EC2::VPCEndpoint"]
            kinds = Counter(item["Properties"]["VpcEndpointType"] for item in endpoints)
            self.assertEqual(kinds, expected)
            self.assertEqual("EndpointSecurityGroup" in resources, "Interface" in expected)

    def test_the_dynamodb_endpoint_allows_the_actions_of_the_provider(self):
        code = {"CodeBucketPrefix": "acme", "CodeKeyPrefix": "provider"}
        provider = role_statements(Evaluation(load(PROVIDER), code).resources())
        (state,) = [statement for statement in provider if statement["Sid"] == "KeepState"]
        (statement,) = sample("vpc")["DynamoDbEndpoint"]["Properties"]["PolicyDocument"]["Statement"]
        self.assertEqual(statement["Action"], state["Action"])
        self.assertEqual(statement["Resource"], "arn:aws:dynamodb:eu-west-1:123456789012:table/*")

    def test_a_nat_gateway_is_zonal_or_regional_and_the_private_route_uses_it(self):
        # A regional gateway has no subnet, and a zonal one has no VPC:
        # https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateNatGateway.html
        for mode, name, parent, addresses in [
            ("zonal", "NatGateway", "SubnetId", 1),
            ("regional", "RegionalNatGateway", "VpcId", 2),
        ]:
            resources = sample("vpc", NatGatewayMode=mode)
            gateways = {key for key, item in resources.items() if item["Type"] == "AWS::EC2::NatGateway"}
            self.assertEqual(gateways, {name})
            properties = resources[name]["Properties"]
            self.assertEqual({"SubnetId", "VpcId"} & properties.keys(), {parent})
            self.assertEqual(resources["PrivateRoute"]["Properties"]["NatGatewayId"], f"<{name}>")
            eips = [item for item in resources.values() if item["Type"] == "AWS::EC2::EIP"]
            self.assertEqual(len(eips), addresses)

    def test_regional_nat_gateways_are_rejected_in_regions_without_them(self):
        template = load(ROOT / "samples" / "vpc.yaml")
        for region, mode, count in [
            ("eu-west-1", "regional", 0), ("cn-north-1", "zonal", 0),
            ("cn-north-1", "regional", 1), ("us-gov-west-1", "regional", 1),
        ]:
            violations = Evaluation(template, {"NatGatewayMode": mode}, region).rule_violations()
            self.assertEqual(len(violations), count, f"{mode} in {region}")

    def test_a_role_that_is_created_again_keeps_its_access_to_another_account(self):
        # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
        role = "arn:aws:iam::111111111111:role/cfn-container-image-provider-LambdaRole-*"
        repository = sample("cross-account", ProviderRoleArn=role)["Repository"]["Properties"]
        (statement,) = repository["RepositoryPolicyText"]["Statement"]
        self.assertEqual(statement["Principal"], {"AWS": "arn:aws:iam::111111111111:root"})
        self.assertEqual(statement["Condition"], {"ArnLike": {"aws:PrincipalArn": role}})

    def test_the_pipeline_deletes_its_stack_only_after_a_failed_creation(self):
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
        resources = sample("image-pipeline", **PIPELINE)
        source = yaml.safe_load(resources["Pin"]["Properties"]["Source"]["BuildSpec"])
        script = source["phases"]["build"]["commands"][-1]
        for status, deletes in [
            ("CREATE_FAILED", True), ("ROLLBACK_COMPLETE", True), ("ROLLBACK_FAILED", True),
            ("CREATE_COMPLETE", False), ("UPDATE_ROLLBACK_COMPLETE", False), ("UPDATE_ROLLBACK_FAILED", False),
            ("", False),
        ]:
            with self.subTest(status), tempfile.TemporaryDirectory() as folder:
                aws = Path(folder, "aws")
                # Without a status the stack does not exist, and the AWS CLI fails.
                aws.write_text(f'#!/bin/sh\necho "$2" >>{folder}/calls\n[ -n "{status}" ] && echo {status}\n')
                aws.chmod(0o755)
                environment = {"PATH": f"{folder}:/usr/bin:/bin", "IMAGE_STACK": "images-image"}
                subprocess.run(["bash", "-e", "-c", script], env=environment, check=True, stdout=subprocess.DEVNULL)
                calls = Path(folder, "calls").read_text().split()
                self.assertEqual(calls, ["describe-stacks", *["delete-stack", "wait"] * deletes])

    def test_the_repository_policy_allows_lambda_to_pull(self):
        # https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#gettingstarted-images-permissions
        policy = sample("lambda-function")["Repository"]["Properties"]["RepositoryPolicyText"]
        (statement,) = policy["Statement"]
        function = "arn:aws:lambda:eu-west-1:123456789012:function:*"
        self.assertEqual(statement["Condition"], {"StringLike": {"aws:sourceArn": function}})

    def test_resources_of_a_failed_creation_are_not_retained(self):
        for path in SAMPLES:
            for name, resource in load(path)["Resources"].items():
                self.assertNotEqual(resource.get("DeletionPolicy"), "Retain", f"{path.name}: {name}")

    def test_the_stack_set_supports_a_delegated_administrator(self):
        for given, expected in [({}, "SELF"), ({"CallAs": "DELEGATED_ADMIN"}, "DELEGATED_ADMIN")]:
            resources = sample(
                "stack-set", TemplateUrl="https://acme.example/a.yaml", OrganizationalUnitIds="ou-1", **given
            )
            self.assertEqual(resources["Providers"]["Properties"]["CallAs"], expected)

    def test_the_pipeline_role_has_the_minimum_permissions(self):
        resources = sample("image-pipeline", **PIPELINE)
        actions = set()
        for statement in statements(resources["PipelineRole"]):
            action = statement["Action"]
            actions |= {action} if isinstance(action, str) else set(action)
        # The minimum of https://docs.aws.amazon.com/codepipeline/latest/userguide/how-to-custom-role.html
        minimum = {
            "s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning", "s3:GetObject",
            "s3:GetObjectVersion", "s3:PutObject", "s3:PutObjectAcl",
        }
        self.assertLessEqual(minimum, actions)
        # The service prefix must match that of the connection. There are two.
        connections = {action for action in actions if action.endswith(":UseConnection")}
        self.assertEqual(connections, {"codestar-connections:UseConnection", "codeconnections:UseConnection"})


if __name__ == "__main__":
    unittest.main()
