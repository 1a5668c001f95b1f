"""Linters accept the templates and scripts."""

import re
import subprocess
import unittest

from template import PROVIDER, REFRESH, ROOT, SAMPLES, load

TEMPLATES = [PROVIDER, REFRESH, *SAMPLES]
# One Region of each partition. cfn-lint checks the resources that a Region supports.
REGIONS = ["eu-west-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1"]


class Lint(unittest.TestCase):
    def test_cfn_lint_accepts_the_templates_in_all_partitions(self):
        for region in REGIONS:
            command = ["cfn-lint", "--regions", region, "--", *map(str, TEMPLATES)]
            done = subprocess.run(command, capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (0, ""), f"in {region}")

    def test_an_ignored_rule_has_a_reason_in_the_line_above(self):
        for path in TEMPLATES:
            lines = path.read_text().splitlines()
            for above, line in zip(lines, lines[1:]):
                if "ignore_checks" in line:
                    self.assertRegex(above.strip(), r"^# .+\.$", f"{path.name}: {line.strip()}")

    def test_shellcheck_accepts_all_scripts(self):
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
        files = [ROOT / name for name in listed.stdout.splitlines()]
        scripts = [path for path in files if path.is_file() and is_shell(path)]
        self.assertIn(ROOT / "tests" / "invariants.sh", scripts)
        command = ["shellcheck", "--external-sources", "--source-path=SCRIPTDIR", *map(str, scripts)]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_scripts_for_users_run_with_the_bash_of_macos(self):
        # macOS has Bash 3.2. shellcheck does not check the version of Bash.
        newer = r"\$\{\w+(\[[@*]\])?[,^@]|\b(mapfile|readarray|coproc)\b|(declare|local|typeset) -\w*[Ang]|\[\[ -v |&>>|\|&"
        scripts = sorted((ROOT / "cloudformation").glob("*.sh"))
        self.assertGreater(len(scripts), 4)
        for path in scripts:
            text = path.read_text()
            self.assertNotRegex(text, newer, path.name)
            # With set -u, Bash before 4.4 rejects the expansion of an empty array.
            for name in set(re.findall(r"\b(\w+)=\(\)|read -ra (\w+)", text)):
                name = "".join(name)
                rest = text.replace(f'${{{name}[@]+"${{{name}[@]}}"}}', "")
                self.assertNotIn(f"${{{name}[@]}}", rest, path.name)

    def test_templates_have_no_yaml_aliases_which_cloudformation_rejects(self):
        for path in TEMPLATES:
            self.assertNotRegex(path.read_text(), r"(?m)^\s*\S+:\s+[&*][A-Za-z]", path.name)


    def test_templates_have_no_null_which_cloudformation_rejects(self):
        # cfn-lint accepts it in the definition of a state machine.
        for path in TEMPLATES:
            self.assertEqual(nulls(load(path), "$"), [], path.name)


def nulls(value, path: str) -> list[str]:
    """Returns the paths of the nulls in a template."""
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in nulls(item, f"{path}.{key}")]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in nulls(item, f"{path}[{index}]")]
    return [path] if value is None else []


class Parameters(unittest.TestCase):
    def setUp(self):
        self.template = load(PROVIDER)

    def test_each_has_a_description_a_default_and_bounds(self):
        for path in (PROVIDER, REFRESH):
            for name, parameter in load(path)["Parameters"].items():
                with self.subTest(name, path=path.name):
                    self.assertIn("Description", parameter)
                    self.assertIn("Default", parameter)
                    bounds = {"AllowedPattern", "AllowedValues", "MinValue"}
                    self.assertTrue(bounds & parameter.keys(), "no bounds")
                    if "AllowedPattern" in parameter:
                        self.assertIn("ConstraintDescription", parameter)
                        self.assertRegex(parameter["Default"], parameter["AllowedPattern"])

    def test_each_has_a_group_and_a_label(self):
        for path in (PROVIDER, REFRESH):
            template = load(path)
            interface = template["Metadata"]["AWS::CloudFormation::Interface"]
            grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
            self.assertEqual(grouped, list(template["Parameters"]))
            self.assertEqual(sorted(interface["ParameterLabels"]), sorted(grouped))

    def test_patterns_accept_valid_values_and_reject_similar_ones(self):
        repository = "arn:aws:ecr:eu-west-1:123456789012:repository/base/*"
        secret = "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:hub-AbCdEf"
        credentials = f"docker.io={secret},registry.acme.example:5000=arn:aws:ssm:eu-west-1:123456789012:parameter/x"
        for name, value, is_valid in [
            ("FunctionName", "a" * 55, True),
            ("FunctionName", "a" * 56, False),
            ("AppVPC", "vpc-0123456789abcdef0", True),
            ("AppVPC", "subnet-0123456789abcdef0", False),
            ("Subnets", "subnet-01234567,subnet-0123456789abcdef0", True),
            ("Subnets", "subnet-01234567, subnet-0123456789abcdef0", False),
            ("SecurityGroupIds", "sg-01234567", True),
            ("CodeImageUri", "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/a/b:1", True),
            ("CodeImageUri", "123456789012.dkr-ecr.eu-west-1.on.aws/provider:1", True),
            ("CodeImageUri", "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com/provider:1", False),
            ("CodeImageUri", "123456789012.dkr-ecr-fips.us-gov-west-1.on.aws/provider:1", False),
            ("CodeImageUri", "docker.io/library/provider:1", False),
            ("RepositoryArns", f"{repository},{repository}", True),
            ("RepositoryArns", f",{repository}", False),
            ("RepositoryArns", f"{repository},", False),
            ("RepositoryArns", "arn:*:ecr:*:*:*", False),
            ("RepositoryTagValue", "team-a", True),
            ("RepositoryTagValue", "team*", False),
            ("SigningProfileArns", "arn:aws:signer:eu-west-1:123456789012:/signing-profiles/images", True),
            ("SigningProfileArns", "arn:aws:signer:eu-west-1:123456789012:/signing-jobs/1", False),
            ("RoleName", "cfn-container-image-provider", True),
            ("RoleName", "path/name", False),
            ("RolePath", "/platform/images/", True),
            ("RolePath", "/platform", False),
            ("StateTable", "none", True),
            ("StateTable", "arn:aws:dynamodb:eu-west-1:123456789012:table/state", False),
            ("EncryptionKeyArn", "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab", True),
            ("EncryptionKeyArn", "arn:aws:kms:eu-west-1:123456789012:alias/logs", False),
            ("SecretArns", secret, True),
            ("SecretArns", secret + ":password::", False),
            ("RegistryCredentials", credentials, True),
            ("RegistryCredentials", "docker.io", False),
            ("AllowedSources", "docker.io/library/,public.ecr.aws/", True),
            ("SourceMirrors", "docker.io=mirror.acme.example/hub,quay.io=mirror.acme.example/quay", True),
            ("SourceMirrors", "docker.io", False),
            ("DefaultPlatform", "linux/amd64,linux/arm/v7", True),
            ("DefaultPlatform", "amd64", False),
            ("HttpsProxy", "http://proxy.acme.example:3128", True),
            ("HttpsProxy", "http://user:word@proxy.acme.example:3128", False),
            ("CaBundle", "-----BEGIN CERTIFICATE-----\nAAAA+/==\n-----END CERTIFICATE-----\n", True),
            ("CaBundle", "/opt/certificates.pem", True),
            ("CaBundle", "certificates.pem", False),
            ("ReservedConcurrency", "0", False),
        ]:
            with self.subTest(name, value=value):
                pattern = self.template["Parameters"][name]["AllowedPattern"]
                self.assertEqual(re.fullmatch(pattern.strip("^$"), value) is not None, is_valid)


def is_shell(path) -> bool:
    """Returns true if the name or the first line of the file is that of a shell script."""
    with path.open("rb") as file:
        first = file.readline()
    return path.suffix == ".sh" or first.startswith((b"#!/bin/sh", b"#!/usr/bin/env bash"))


if __name__ == "__main__":
    unittest.main()
