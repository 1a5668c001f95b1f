"""The provider's role allows exactly the actions that the provider calls.

Objects in S3 and tags of sources are the exception: only the policy of the refresh stack allows them.

There are two lists of these actions. In the code, each call names its action for error messages. The
emulator lists the provider's requests during all tests (`make test`), including actions that another
call requires.
"""

import os
import re
import tempfile
import unittest
from pathlib import Path

from template import PROVIDER, REFRESH, ROOT, Evaluation, load, role_statements
from test_names import CRATES, rust_source

# All parameters that add statements to the role.
ALL_PARAMETERS = {
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

# Name of the provider in the list. Tests, the engine and the command line call the emulator with other names.
PROGRAM = "cfn-container-image-provider"

# Allowed actions that other services call with the function's role, so that the emulator does not list them.
NOT_CALLED = {
    "ec2:AssignPrivateIpAddresses": "Lambda, for the function's interfaces",
    "ec2:CreateNetworkInterface": "Lambda, for the function's interfaces",
    "ec2:DeleteNetworkInterface": "Lambda, for the function's interfaces",
    "ec2:DescribeNetworkInterfaces": "Lambda, for the function's interfaces",
    "ec2:DescribeSubnets": "Lambda, for the function's interfaces",
    "ec2:UnassignPrivateIpAddresses": "Lambda, for the function's interfaces",
    "kms:Decrypt": "Secrets Manager, Systems Manager, Lambda and S3",
    "kms:GenerateDataKey": "S3, for objects in the bucket of the refresh stack",
    "logs:CreateLogStream": "Lambda, for the function's log",
    "logs:PutLogEvents": "Lambda, for the function's log",
    "s3:ListBucket": "S3, to distinguish missing objects",
    "signer:SignPayload": "ECR managed signing",
    "xray:PutTelemetryRecords": "Lambda, for the function's traces",
    "xray:PutTraceSegments": "Lambda, for the function's traces",
}

# Actions that another call requires. The code names only that call.
NOT_NAMED = {
    "ecr:BatchImportUpstreamImage": "a pull that fills a pull-through cache",
    "ecr:CreateRepository": "the first pull of a repository in a pull-through cache",
    "sts:GetServiceBearerToken": "ecr-public:GetAuthorizationToken",
}

# Modules of image-copy-aws that only the command line uses. Their actions need the user's permissions.
COMMAND_LINE_MODULES = ("creation", "image_details", "lifecycle_preview", "scan_findings")
# Modules that only the feature `command-line` compiles, so that the function cannot call them.
FEATURE_MODULES = {"deployment": "lib.rs", "executions": "lib.rs", "stacks": "lib.rs", "scan": "state_table/mod.rs"}


def actions_of(statements: list[dict]) -> set[str]:
    """Returns the actions that statements allow."""
    actions = set()
    for statement in statements:
        if statement["Effect"] == "Allow":
            action = statement["Action"]
            actions |= {action} if isinstance(action, str) else set(action)
    return actions


def role_actions() -> set[str]:
    """Returns the actions that the provider's stack allows the provider."""
    return actions_of(role_statements(Evaluation(load(PROVIDER), ALL_PARAMETERS).resources()))


def refresh_actions() -> set[str]:
    """Returns the actions that a refresh stack allows the provider."""
    parameters = {
        "EncryptionKeyArn": ALL_PARAMETERS["EncryptionKeyArn"],
        "SourceRepositoryArns": "arn:aws:ecr:eu-west-1:123456789012:repository/upstream/*",
    }
    resources = Evaluation(load(REFRESH), parameters).resources()
    return actions_of(resources["FunctionAccess"]["Properties"]["PolicyDocument"]["Statement"])


def allowed_actions() -> set[str]:
    """Returns the actions that the provider is allowed."""
    return role_actions() | refresh_actions()


def actions_in_code() -> set[str]:
    """Returns the actions in the provider's code, without its comments."""
    crates = ("image-copy-aws", "cfn-container-image-provider")
    without = (*COMMAND_LINE_MODULES, *FEATURE_MODULES)
    source = "".join(rust_source(CRATES / crate / "src", without) for crate in crates)
    source = re.sub(r"(?m)^\s*//.*$", "", source)
    return set(re.findall(r"\b((?:dynamodb|ecr|ecr-public|secretsmanager|ssm|lambda|s3):[A-Z]\w+)", source))


def called_actions(path: Path) -> set[str]:
    """Returns the actions of the provider in the emulator's list, which has one line for each program and action."""
    lines = [line.split() for line in path.read_text().splitlines()]
    return {action for program, action in lines if program == PROGRAM}


def differences(allowed: set[str], called: set[str]) -> list[str]:
    """Returns the differences between allowed and called actions that are not exceptions."""
    unused = allowed - called - NOT_CALLED.keys()
    missing = called - allowed
    stale = NOT_CALLED.keys() - (allowed - called)
    return sorted(
        [f"{action} is allowed, but nothing calls it" for action in unused]
        + [f"{action} is called, but not allowed" for action in missing]
        + [f"{action} is listed as an exception, but it is none" for action in stale]
    )


class Policy(unittest.TestCase):
    def test_the_role_allows_exactly_the_actions_in_the_code(self):
        self.assertEqual(differences(allowed_actions(), actions_in_code() | NOT_NAMED.keys()), [])
        self.assertEqual(actions_in_code() & NOT_NAMED.keys(), set(), "the code names these exceptions")

    def test_the_role_allows_exactly_the_actions_of_the_test_run(self):
        path = Path(os.environ["ACTIONS_SEEN"])
        if not path.exists():
            if "REQUIRE_ACTIONS_SEEN" in os.environ:
                self.fail(f"{path} does not exist: `make test` did not run or did not pass")
            self.skipTest("`make test` has not written the list of called actions")
        self.assertEqual(differences(allowed_actions(), called_actions(path)), [])

    def test_only_the_refresh_stack_allows_objects_in_s3_and_tags_of_sources(self):
        expected = {"ecr:ListImages", "s3:GetObject", "s3:PutObject"}
        self.assertEqual(refresh_actions() - NOT_CALLED.keys(), expected)
        self.assertEqual(refresh_actions() & role_actions(), {"kms:Decrypt"})
        self.assertLessEqual(expected, actions_in_code())

    def test_the_provider_does_not_use_the_modules_of_the_command_line(self):
        provider = rust_source(CRATES / "cfn-container-image-provider" / "src")
        names = set(re.findall(r"\w+", provider))
        imports = re.findall(r"\bimage_copy_aws::(?:\{([^}]*)\}|(\w+))", provider)
        imported = {name for pair in imports for name in re.findall(r"\w+", "".join(pair))}
        self.assertIn("AwsClients", imported)
        for module in COMMAND_LINE_MODULES:
            source = (CRATES / "image-copy-aws" / "src" / f"{module}.rs").read_text()
            functions = set(re.findall(r"pub (?:async )?fn (\w+)", source))
            types = set(re.findall(r"pub (?:struct|enum) (\w+)", source))
            self.assertTrue(functions | types, module)
            self.assertEqual((functions & names) | (types & imported), set(), module)

    def test_only_the_feature_of_the_command_line_compiles_its_modules(self):
        for module, parent in FEATURE_MODULES.items():
            source = (CRATES / "image-copy-aws" / "src" / parent).read_text()
            self.assertIn(f'#[cfg(feature = "command-line")]\nmod {module};\n', source)
        manifest = (CRATES / "cfn-container-image-provider" / "Cargo.toml").read_text()
        self.assertNotIn("command-line", manifest)

    def test_a_missing_action_is_detected_on_both_sides(self):
        allowed = allowed_actions()
        called = allowed - NOT_CALLED.keys()
        self.assertEqual(differences(allowed, called), [])
        for action in called:
            self.assertEqual(differences(allowed, called - {action}), [f"{action} is allowed, but nothing calls it"])
            self.assertEqual(differences(allowed - {action}, called), [f"{action} is called, but not allowed"])

    def test_calls_of_other_programs_are_ignored(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(f"container-image ecr:ListImages\n{PROGRAM} ecr:PutImage\nimage-copy ecr:PutImage\n")
            file.flush()
            self.assertEqual(called_actions(Path(file.name)), {"ecr:PutImage"})

    def test_documents_name_the_repository_actions_of_the_role(self):
        on_images = {action for action in role_actions() if action.startswith("ecr:")}
        on_images -= NOT_CALLED.keys() | NOT_NAMED.keys()
        for path in ["docs/permissions.md", "samples/cross-account.yaml"]:
            text = (ROOT / path).read_text().split("### Actions on repositories\n")[-1].split("\n## ")[0]
            named_there = set(re.findall(r"ecr:[A-Z]\w+", text))
            self.assertEqual(named_there | {"ecr:GetAuthorizationToken"}, on_images, path)

    def test_the_watchdog_can_only_write_its_log_and_queue_events(self):
        role = Evaluation(load(PROVIDER), ALL_PARAMETERS).resources()["WatchdogRole"]["Properties"]
        statements = role["Policies"][0]["PolicyDocument"]["Statement"]
        actions = {action for item in statements for action in [item["Action"]] if isinstance(action, str)}
        actions |= {action for item in statements if isinstance(item["Action"], list) for action in item["Action"]}
        self.assertEqual(actions, {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"})


if __name__ == "__main__":
    unittest.main()
