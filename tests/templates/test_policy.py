"""The provider's role allows exactly the actions that the provider calls.

There are two lists of these actions. In the code each call names its action for error messages. The
emulator lists the requests of the provider during all tests (`make test`). The first list needs no
test run. The second one also has actions that another call requires.
"""

import os
import re
import tempfile
import unittest
from pathlib import Path

from template import PROVIDER, ROOT, Evaluation, load, role_statements
from test_names import CRATES, rust_source

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
    "SigningProfileArns": "arn:aws:signer:eu-west-1:123456789012:/signing-profiles/images",
    "Tracing": "Active",
    "EncryptionKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/2",
}

# As the provider calls itself. Tests call the emulator too, and so do the engine alone and the command
# line: under other names or none, and in the name of no role that the template has.
PROGRAM = "cfn-container-image-provider"

# Allowed, but called by somebody else in the function's name, where no emulator looks.
NOT_CALLED = {
    "ec2:AssignPrivateIpAddresses": "Lambda, for the function's interfaces",
    "ec2:CreateNetworkInterface": "Lambda, for the function's interfaces",
    "ec2:DeleteNetworkInterface": "Lambda, for the function's interfaces",
    "ec2:DescribeNetworkInterfaces": "Lambda, for the function's interfaces",
    "ec2:DescribeSubnets": "Lambda, for the function's interfaces",
    "ec2:UnassignPrivateIpAddresses": "Lambda, for the function's interfaces",
    "kms:Decrypt": "Secrets Manager, Systems Manager and Lambda, in the function's name",
    "logs:CreateLogStream": "Lambda, for the function's log",
    "logs:PutLogEvents": "Lambda, for the function's log",
    "signer:SignPayload": "ECR managed signing, in the function's name",
    "xray:PutTelemetryRecords": "Lambda, for the function's traces",
    "xray:PutTraceSegments": "Lambda, for the function's traces",
}

# Demanded of the caller for another call, which alone the code names.
NOT_NAMED = {
    "ecr:BatchImportUpstreamImage": "a pull that fills a pull-through cache",
    "ecr:CreateRepository": "the first pull of a repository in a pull-through cache",
    "sts:GetServiceBearerToken": "ecr-public:GetAuthorizationToken",
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
    source = rust_source(CRATES / "image-copy-aws" / "src") + rust_source(CRATES / "cfn-container-image-provider" / "src")
    return set(re.findall(r"\b((?:dynamodb|ecr|ecr-public|secretsmanager|ssm|lambda):[A-Z]\w+)", source))


def seen(path: Path) -> set[str]:
    """The actions that the provider asked the emulator for, in a list with a line for each program and action."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return {action for program, action in lines if program == PROGRAM}


def differences(allowed: set[str], called: set[str]) -> list[str]:
    """What is on one side alone and has no reason to be."""
    unused = allowed - called - NOT_CALLED.keys()
    missing = called - allowed
    stale = NOT_CALLED.keys() - (allowed - called)
    return sorted(
        [f"{action} is allowed, but nothing calls it" for action in unused]
        + [f"{action} is called, but not allowed" for action in missing]
        + [f"{action} has a reason to be an exception, but is none" for action in stale]
    )


class Policy(unittest.TestCase):
    def test_the_role_allows_what_the_code_names_and_nothing_else(self):
        self.assertEqual(differences(granted(), named() | NOT_NAMED.keys()), [])
        self.assertEqual(named() & NOT_NAMED.keys(), set(), "these are named after all")

    def test_the_role_allows_what_the_tests_saw_called_and_nothing_else(self):
        path = Path(os.environ["ACTIONS_SEEN"])
        if not path.exists():
            if "REQUIRE_ACTIONS_SEEN" in os.environ:
                self.fail(f"there is no {path}: `make test` did not run, or did not pass")
            self.skipTest("compared with what the code names only: what it calls is listed by `make test`")
        self.assertEqual(differences(granted(), seen(path)), [])

    def test_an_action_that_one_side_lacks_is_noticed(self):
        called = granted() - NOT_CALLED.keys()
        self.assertEqual(differences(granted(), called), [])
        for action in called:
            self.assertEqual(differences(granted(), called - {action}), [f"{action} is allowed, but nothing calls it"])
            self.assertEqual(differences(granted() - {action}, called), [f"{action} is called, but not allowed"])

    def test_what_others_than_the_provider_called_does_not_count(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(f"container-image ecr:ListImages\n{PROGRAM} ecr:PutImage\nimage-copy ecr:PutImage\n")
            file.flush()
            self.assertEqual(seen(Path(file.name)), {"ecr:PutImage"})

    def test_documents_name_the_actions_on_repositories_that_the_role_has(self):
        on_images = {action for action in granted() if action.startswith("ecr:")} - NOT_CALLED.keys() - NOT_NAMED.keys()
        for path in ["docs/permissions.md", "samples/cross-account.yaml"]:
            text = (ROOT / path).read_text().split("### Actions on repositories\n")[-1].split("\n## ")[0]
            named_there = set(re.findall(r"ecr:[A-Z]\w+", text))
            self.assertEqual(named_there | {"ecr:GetAuthorizationToken"}, on_images, path)

    def test_the_watchdog_may_only_write_its_log_and_leave_what_it_cannot_answer(self):
        role = Evaluation(load(PROVIDER), EVERYTHING).resources()["WatchdogRole"]["Properties"]
        statements = role["Policies"][0]["PolicyDocument"]["Statement"]
        actions = {action for item in statements for action in [item["Action"]] if isinstance(action, str)}
        actions |= {action for item in statements if isinstance(item["Action"], list) for action in item["Action"]}
        self.assertEqual(actions, {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"})


if __name__ == "__main__":
    unittest.main()
