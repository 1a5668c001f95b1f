"""What the provider's role allows is what the provider does, no less and no more.

The actions that the code names stand for those that it calls: each call names its own, for its
errors' sake.
"""

import re
import unittest

from template import PROVIDER, ROOT, Evaluation, load, role_statements
from test_names import CRATES, rust

# With every parameter that adds to the role.
EVERYTHING = {
    "CodeBucketPrefix": "acme",
    "CodeKeyPrefix": "provider/1/bootstrap",
    "AppVPC": "vpc-01234567",
    "Subnets": "subnet-01234567",
    "SecretArns": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub-AbCdEf",
    "ParameterArns": "arn:aws:ssm:eu-west-1:123456789012:parameter/hub",
    "KmsKeyArns": "arn:aws:kms:eu-west-1:123456789012:key/1",
    "PullThroughRepositoryArns": "arn:aws:ecr:eu-west-1:123456789012:repository/hub/*",
}

# Allowed, but called by somebody else in the function's name.
NOT_CALLED = {
    "ec2:AssignPrivateIpAddresses": "Lambda, for the function's interfaces",
    "ec2:CreateNetworkInterface": "Lambda, for the function's interfaces",
    "ec2:DeleteNetworkInterface": "Lambda, for the function's interfaces",
    "ec2:DescribeNetworkInterfaces": "Lambda, for the function's interfaces",
    "ec2:DescribeSubnets": "Lambda, for the function's interfaces",
    "ec2:UnassignPrivateIpAddresses": "Lambda, for the function's interfaces",
    "ecr:BatchImportUpstreamImage": "ECR, when a pull-through cache is filled by a pull",
    "ecr:CreateRepository": "ECR, when a pull-through cache is filled by a pull",
    "kms:Decrypt": "Secrets Manager and Systems Manager, in the function's name",
    "logs:CreateLogStream": "Lambda, for the function's log",
    "logs:PutLogEvents": "Lambda, for the function's log",
    "sts:GetServiceBearerToken": "ECR Public, when it gives a token",
}


def granted() -> set[str]:
    """All that the provider's role allows."""
    actions = set()
    for statement in role_statements(Evaluation(load(PROVIDER), EVERYTHING).resources()):
        if statement["Effect"] == "Allow":
            named = statement["Action"]
            actions |= {named} if isinstance(named, str) else set(named)
    return actions


def named() -> set[str]:
    """The actions that the provider's code names: each call does, for its errors' sake."""
    source = rust(CRATES / "image-copy-aws" / "src") + rust(CRATES / "cfn-container-image-provider" / "src")
    return set(re.findall(r"\b((?:ecr|ecr-public|secretsmanager|ssm|lambda):[A-Z]\w+)", source))


def differences(allowed: set[str], called: set[str]) -> list[str]:
    """What is on one side alone and has no reason to be."""
    unused = allowed - called - NOT_CALLED.keys()
    missing = called - allowed
    stale = NOT_CALLED.keys() - allowed
    return sorted(
        [f"{action} is allowed, but nothing calls it" for action in unused]
        + [f"{action} is called, but not allowed" for action in missing]
        + [f"{action} has a reason to be an exception, but is none" for action in stale]
    )


class Policy(unittest.TestCase):
    def test_the_role_allows_what_the_code_names_and_nothing_else(self):
        self.assertEqual(differences(granted(), named()), [])

    def test_an_action_that_one_side_lacks_is_noticed(self):
        called = granted() - NOT_CALLED.keys()
        self.assertEqual(differences(granted(), called), [])
        for action in called:
            self.assertEqual(differences(granted(), called - {action}), [f"{action} is allowed, but nothing calls it"])
            self.assertEqual(differences(granted() - {action}, called), [f"{action} is called, but not allowed"])

    def test_documents_name_the_actions_on_repositories_that_the_role_has(self):
        on_images = {action for action in granted() if action.startswith("ecr:")} - NOT_CALLED.keys()
        for path in ["docs/records.md", "samples/cross-account.yaml"]:
            named_there = set(re.findall(r"ecr:[A-Z]\w+", (ROOT / path).read_text()))
            self.assertEqual(named_there | {"ecr:GetAuthorizationToken"}, on_images, path)

    def test_the_watchdog_may_only_write_its_log_and_leave_what_it_cannot_answer(self):
        role = Evaluation(load(PROVIDER), EVERYTHING).resources()["WatchdogRole"]["Properties"]
        statements = role["Policies"][0]["PolicyDocument"]["Statement"]
        actions = {action for item in statements for action in [item["Action"]] if isinstance(action, str)}
        actions |= {action for item in statements if isinstance(item["Action"], list) for action in item["Action"]}
        self.assertEqual(actions, {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"})


if __name__ == "__main__":
    unittest.main()
