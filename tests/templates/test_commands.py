"""Runs the commands of the docs against emulated AWS services."""

import datetime
import json
import re
import tempfile
import unittest
from pathlib import Path

from botocore.exceptions import ClientError

from template import REFRESH, ROOT, load
from test_stacks import NAME, Installation


def commands(page: str, heading: str, number: int = 0, language: str = "sh") -> str:
    """Returns a code block under a heading."""
    text = (ROOT / "docs" / page).read_text()
    section = re.split(r"(?m)^#+ ", re.split(rf"(?m)^#+ {re.escape(heading)}\n", text, maxsplit=1)[1])[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.S)[number]


class Commands(Installation):
    def setUp(self):
        super().setUp()
        self.create(self.publish(), LogRetention="90", DeleteImages="false")

    def shell(self, text: str):
        # The commands write files, so they run in the folder of the packages.
        done = self.cloud.run("bash", "-euo", "pipefail", "-c", f'cd "{self.packages}"\n{text}')
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def written_parameters(self, text: str) -> dict:
        """Returns the parameters that a command writes, without its update-stack, which moto cannot run."""
        self.shell(text.split("aws cloudformation update-stack")[0])
        parameters = json.loads((self.packages / "parameters.json").read_text())
        return {item.pop("ParameterKey"): item for item in parameters}

    def test_other_parameters_keep_their_values(self):
        kept = {name: {"UsePreviousValue": True} for name in self.parameters()}
        changing = commands("install.md", "Change parameters")
        self.assertEqual(self.written_parameters(changing), {**kept, "DefaultPlatform": {"ParameterValue": "all"}})
        with self.assertRaisesRegex(AssertionError, "unknown parameter Misspelt"):
            self.written_parameters(changing.replace("name=DefaultPlatform", "name=Misspelt"))
        # The new template has defaults for these two.
        del kept["CodeBucketPrefix"], kept["CodeKeyPrefix"]
        self.assertEqual(self.written_parameters(commands("install.md", "Update", 1)), kept)
        self.assertIn("CodeKeyPrefix", self.shell(commands("install.md", "Update")))

    def test_stacks_that_use_the_provider_are_listed_before_its_deletion(self):
        self.create_user_stack("images", "Custom::ContainerImage", self.function()["FunctionArn"])
        text = self.shell(commands("install.md", "Uninstall", 2))
        self.assertEqual(text.split(), ["images", "Image"])
        self.assertEqual(self.stack()["StackStatus"], "CREATE_COMPLETE")
        self.shell(commands("install.md", "Uninstall", 3))
        with self.assertRaisesRegex(ClientError, "does not exist"):
            self.stack()


    def test_policies_for_other_accounts_are_complete(self):
        secret, repository = "registries/quay.io", "base/app"
        secrets, ecr = self.cloud.client("secretsmanager"), self.cloud.client("ecr")
        secrets.create_secret(Name=secret, SecretString="{}")
        ecr.create_repository(repositoryName=repository)
        policy = commands("credentials.md", "A secret of another account", language="json")
        self.store_policy(policy, "A secret of another account")
        stored = json.loads(secrets.get_resource_policy(SecretId=secret)["ResourcePolicy"])
        # Secrets Manager and KMS require Resource:
        # https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html
        self.assertEqual([statement["Resource"] for statement in stored["Statement"]], ["*"])
        policy = commands("permissions.md", "The function's role", language="json")
        self.store_policy(policy, "A repository of another account")
        stored = json.loads(ecr.get_repository_policy(repositoryName=repository)["policyText"])
        # ECR's policies have no Resource:
        # https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policy-examples.html
        (statement,) = stored["Statement"]
        self.assertEqual(set(statement), {"Effect", "Principal", "Action", "Condition"})

    def store_policy(self, policy: str, heading: str):
        """Runs the first command under a heading of credentials.md with this `policy.json`."""
        (self.packages / "policy.json").write_text(policy)
        self.shell(commands("credentials.md", heading))


class Tutorial(Installation):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.template = self.folder / "image.yaml"
        self.template.write_text(commands("tutorial.md", "Copy an image", language="yaml"))

    def shell(self, heading: str, number: int = 0) -> str:
        text = commands("tutorial.md", heading, number)
        done = self.cloud.run("bash", "-euo", "pipefail", "-c", f'cd "{self.folder}"\n{text}')
        return self.succeeds(done)

    def install(self):
        text = commands("tutorial.md", "Install the provider")
        without_build, count = re.subn(r"(?m)^make package .*\n", "", text)
        self.assertEqual(count, 1)
        command = f'cd "{ROOT}"\n{without_build}'
        self.succeeds(self.cloud.run("bash", "-euo", "pipefail", "-c", command, PACKAGES=str(self.packages)))

    def image(self) -> dict:
        return self.cloud.client("cloudformation").describe_stacks(StackName="tutorial")["Stacks"][0]

    def test_the_commands_install_copy_update_and_delete(self):
        self.install()
        self.assertEqual(self.function()["FunctionName"], NAME)
        self.shell("Copy an image")
        self.assertEqual(self.image()["StackStatus"], "CREATE_COMPLETE")
        names = self.cloud.client("ecr").describe_repositories()["repositories"]
        self.assertEqual([item["repositoryName"] for item in names], ["tutorial/alpine"])
        self.shell("Update")
        self.assertEqual(self.image()["StackStatus"], "UPDATE_COMPLETE")
        refresh = {"ParameterKey": "Refresh", "ParameterValue": datetime.date.today().isoformat()}
        self.assertEqual(self.image()["Parameters"], [refresh])
        self.shell("Delete")
        with self.assertRaisesRegex(ClientError, "does not exist"):
            self.image()

    def test_the_failing_update_changes_only_the_tag(self):
        self.install()
        self.shell("Copy an image")
        # moto runs no function, so the update succeeds.
        self.shell("Roll back")
        template, missing = load(self.template), load(self.folder / "missing.yaml")
        properties = template["Resources"]["Alpine"]["Properties"]
        reference = properties["ImageReference"]
        properties["ImageReference"] = reference.rsplit(":", 1)[0] + ":missing"
        self.assertNotEqual(properties["ImageReference"], reference)
        self.assertEqual(missing, template)

    def test_the_query_prints_the_image(self):
        # In moto, stacks of change sets have no outputs, and custom resources have no attributes.
        value = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/tutorial/alpine@sha256:00"
        outputs = {name: {"Value": value} for name in load(self.template)["Outputs"]}
        body = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}, "Outputs": outputs}
        self.cloud.client("cloudformation").create_stack(StackName="tutorial", TemplateBody=json.dumps(body))
        self.assertEqual(self.shell("Copy an image", 1).strip(), value)

    def test_the_command_line_has_the_flags(self):
        source = (ROOT / "crates" / "container-image" / "src" / "args" / "update.rs").read_text()
        known = {name.replace("_", "-") for name in re.findall(r"pub\(crate\) (\w+): bool", source)}
        pin, check = (commands("tutorial.md", "Pin the image in CI", number) for number in (1, 2))
        for command in (pin, check):
            self.assertTrue(command.startswith("container-image pin "))
            self.assertLessEqual(set(re.findall(r" --([a-z-]+)", command)), known)
        self.assertEqual(check.replace("--check ", ""), pin)


class Refresh(Installation):
    def setUp(self):
        super().setUp()
        role = self.cloud.client("iam").create_role(RoleName="workflow", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        definition = json.dumps({"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}})
        self.states = self.cloud.client("stepfunctions")
        machine = self.states.create_state_machine(name="Refresh", definition=definition, roleArn=role)
        self.machine = machine["stateMachineArn"]
        location = {"LocationConstraint": "eu-west-1"}
        self.cloud.client("s3").create_bucket(Bucket="refresh", CreateBucketConfiguration=location)
        # moto cannot create the stack itself, because it does not remove AWS::NoValue from lists.
        values = {"StateMachineArn": self.machine, "BucketName": "refresh", "ListObject": "s3://refresh/list.yaml"}
        self.assertEqual(values.keys(), load(REFRESH)["Outputs"].keys())
        outputs = {name: {"Value": value} for name, value in values.items()}
        body = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}, "Outputs": outputs}
        self.cloud.client("cloudformation").create_stack(StackName="image-refresh", TemplateBody=json.dumps(body))

    def shell(self, heading: str, number: int = 0, variables: str = "") -> str:
        text = variables + commands("refresh.md", heading, number)
        done = self.cloud.run("bash", "-euo", "pipefail", "-c", f'cd "{self.packages}"\n{text}')
        return self.succeeds(done)

    def test_the_commands_upload_a_list_start_a_run_and_delete_the_stack(self):
        (self.packages / "list.yaml").write_text("images: [nginx:1.27]\n")
        self.shell("Install", 1)
        names = self.cloud.client("ecr").describe_repositories()["repositories"]
        self.assertEqual([item["repositoryName"] for item in names], ["mirror/nginx"])
        self.shell("Install", 3)
        bucket, key = "refresh", load(REFRESH)["Parameters"]["ListKey"]["Default"]
        content = self.cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        self.assertEqual(content, b"images: [nginx:1.27]\n")
        self.shell("Run it now")
        execution, = self.states.list_executions(stateMachineArn=self.machine)["executions"]
        key = f"runs/{execution['name']}/report.json"
        self.cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=b'{"Owner": "nightly"}')
        text = self.shell("Run it now", 1, f"execution={execution['executionArn']}\n")
        self.assertTrue(text.endswith('{"Owner": "nightly"}'), text)
        self.shell("Uninstall")
        with self.assertRaisesRegex(ClientError, "does not exist"):
            self.cloud.client("cloudformation").describe_stacks(StackName="image-refresh")

    def test_the_command_downloads_the_previous_version_of_the_list(self):
        s3 = self.cloud.client("s3")
        s3.put_bucket_versioning(Bucket="refresh", VersioningConfiguration={"Status": "Enabled"})
        for body in (b"oldest", b"previous", b"newest"):
            s3.put_object(Bucket="refresh", Key="list.yaml", Body=body)
        self.shell("The list", 0, "bucket=refresh\n")
        self.assertEqual((self.packages / "list.yaml").read_bytes(), b"previous")

    def test_the_installation_names_the_template_and_its_capability(self):
        text = commands("refresh.md", "Install")
        self.assertIn(f"--template-file {REFRESH.relative_to(ROOT)} ", text)
        self.assertIn("--stack-name image-refresh ", text)
        # A role with a name would need CAPABILITY_NAMED_IAM.
        self.assertIn("--capabilities CAPABILITY_IAM\n", text)
        self.assertNotIn("RoleName:", REFRESH.read_text())


if __name__ == "__main__":
    unittest.main()
