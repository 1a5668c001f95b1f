"""What AWS demands of templates, and neither the linter nor the stand-in for AWS looks at.

Each demand has the place where it is written down, or where somebody met it.
"""

import re
import unittest

from template import PROVIDER, ROOT, SAMPLES, Evaluation, load

# The largest template that `aws cloudformation deploy` sends without a bucket for it:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
LARGEST_BODY = 51_200
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html
KNOWN_TO_RULES = {
    "Fn::And", "Fn::Contains", "Fn::EachMemberEquals", "Fn::EachMemberIn", "Fn::Equals", "Fn::Not", "Fn::Or",
    "Fn::RefAll", "Fn::ValueOf", "Fn::ValueOfAll", "Ref",
}
# Interface endpoints whose names begin otherwise in China:
# https://github.com/aws/aws-cdk/blob/main/packages/aws-cdk-lib/aws-ec2/lib/vpc-endpoint.ts
OTHERWISE_IN_CHINA = {"ecr.api", "ecr.dkr", "lambda"}


def sample(name: str, region: str = "eu-west-1", **parameters: str) -> dict:
    """The resources of a sample."""
    return Evaluation(load(ROOT / "samples" / f"{name}.yaml"), parameters, region).resources()


def statements(role: dict) -> list[dict]:
    """All that a role's own policies say."""
    policies = role["Properties"]["Policies"]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def functions(node) -> set[str]:
    """The names of the functions in a part of a template."""
    if isinstance(node, list):
        return set().union(*map(functions, node))
    if not isinstance(node, dict):
        return set()
    return set(node).union(*map(functions, node.values()))


class Templates(unittest.TestCase):
    def test_a_template_can_be_deployed_without_a_bucket_for_it(self):
        for path in [PROVIDER, *SAMPLES]:
            self.assertLess(path.stat().st_size, LARGEST_BODY, path.name)

    def test_rules_use_no_function_that_only_conditions_have(self):
        for path in [PROVIDER, *SAMPLES]:
            for rule in load(path).get("Rules", {}).values():
                used = functions(rule.get("RuleCondition", {}))
                for assertion in rule["Assertions"]:
                    used |= functions(assertion["Assert"])
                self.assertLessEqual(used, KNOWN_TO_RULES, path.name)


class Samples(unittest.TestCase):
    def test_every_block_that_a_vpc_may_have_holds_its_subnets(self):
        template = load(ROOT / "samples" / "vpc.yaml")
        pattern = template["Parameters"]["CidrBlock"]["AllowedPattern"]
        subnets = [item for item in template["Resources"].values() if item["Type"] == "AWS::EC2::Subnet"]
        # Amazon VPC takes blocks from /16 to /28.
        taken = [length for length in range(33) if re.fullmatch(pattern, f"10.0.0.0/{length}")]
        self.assertTrue(taken and set(taken) <= set(range(16, 29)), taken)
        for subnet in subnets:
            index, cidr = subnet["Properties"]["CidrBlock"]["Fn::Select"]
            _, count, bits = cidr["Fn::Cidr"]
            self.assertLess(index, count)
            self.assertLessEqual(count, 2 ** (32 - bits - max(taken)))

    def test_zones_without_lambda_can_be_avoided(self):
        # https://github.com/awslabs/aws-orbit-workbench/issues/320
        named = {"AvailabilityZone1": "us-east-1c", "AvailabilityZone2": "us-east-1d"}
        for given, expected in [({}, {"<GetAZs0>", "<GetAZs1>"}), (named, set(named.values()))]:
            subnets = [item for item in sample("vpc", **given).values() if item["Type"] == "AWS::EC2::Subnet"]
            self.assertEqual({subnet["Properties"]["AvailabilityZone"] for subnet in subnets}, expected)

    def test_endpoints_have_the_names_that_they_have_in_the_partition(self):
        for region in ["eu-west-1", "us-gov-west-1", "cn-north-1"]:
            endpoints = [
                item["Properties"] for item in sample("vpc", region, TaskEndpoints="true").values()
                if item["Type"] == "AWS::EC2::VPCEndpoint"
            ]
            self.assertGreater(len(endpoints), len(OTHERWISE_IN_CHINA))
            for endpoint in endpoints:
                prefix, service = endpoint["ServiceName"].split(f"com.amazonaws.{region}.")
                expected = "cn." if region == "cn-north-1" and service in OTHERWISE_IN_CHINA else ""
                self.assertEqual(prefix, expected, endpoint["ServiceName"])

    def test_lambda_may_pull_in_the_way_that_it_asks(self):
        # https://docs.aws.amazon.com/lambda/latest/dg/images-create.html#gettingstarted-images-permissions
        policy = sample("lambda-function")["Repository"]["Properties"]["RepositoryPolicyText"]
        (statement,) = policy["Statement"]
        function = "arn:aws:lambda:eu-west-1:123456789012:function:*"
        self.assertEqual(statement["Condition"], {"StringLike": {"aws:sourceArn": function}})

    def test_what_failed_to_be_created_is_not_retained(self):
        for path in SAMPLES:
            for name, resource in load(path)["Resources"].items():
                self.assertNotEqual(resource.get("DeletionPolicy"), "Retain", f"{path.name}: {name}")

    def test_a_delegated_administrator_says_so(self):
        for given, expected in [({}, "SELF"), ({"CallAs": "DELEGATED_ADMIN"}, "DELEGATED_ADMIN")]:
            resources = sample(
                "stack-set", TemplateUrl="https://acme.example/a.yaml", OrganizationalUnitIds="ou-1", **given
            )
            self.assertEqual(resources["Providers"]["Properties"]["CallAs"], expected)

    def test_the_pipeline_may_do_what_its_stages_do(self):
        resources = sample(
            "image-pipeline", ConnectionArn="arn:aws:codeconnections:eu-west-1:123456789012:connection/1",
            GitHubRepo="acme/images", ContainerImageCommand="s3://acme/container-image-x86_64",
        )
        actions = set()
        for statement in statements(resources["PipelineRole"]):
            named = statement["Action"]
            actions |= {named} if isinstance(named, str) else set(named)
        # The minimum of https://docs.aws.amazon.com/codepipeline/latest/userguide/how-to-custom-role.html
        minimum = {
            "s3:GetBucketAcl", "s3:GetBucketLocation", "s3:GetBucketVersioning", "s3:GetObject",
            "s3:GetObjectVersion", "s3:PutObject", "s3:PutObjectAcl",
        }
        self.assertLessEqual(minimum, actions)
        # The service prefix has to be that of the connection, of which there are two.
        connections = {action for action in actions if action.endswith(":UseConnection")}
        self.assertEqual(connections, {"codestar-connections:UseConnection", "codeconnections:UseConnection"})


if __name__ == "__main__":
    unittest.main()
