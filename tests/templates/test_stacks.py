"""Tests the scripts and the published files with the AWS CLI and moto.

moto creates the functions, roles, tables, security groups, queues and log groups of the template. It does
not support Rules, architectures, event invoke configurations, metric filters, alarms, saved queries and
permissions, which test_rules.py and test_policy.py test. It runs no function. A stack of a change set, as
deploy.sh creates it, has no outputs and cannot be updated.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import tomllib
import unittest
import zipfile
from pathlib import Path

import yaml
from botocore.exceptions import ClientError

from cloud import Cloud
from template import REFRESH, ROOT, Evaluation, Loader

SCRIPTS = ROOT / "cloudformation"
NAME = "cfn-container-image-provider"
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]


class Installation(unittest.TestCase):
    """Emulated AWS services, packages, and the commands that use them."""

    @classmethod
    def setUpClass(cls):
        cls.cloud = cls.enterClassContext(Cloud())

    def setUp(self):
        self.cloud.reset()
        self.packages = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.pack("first")

    def pack(self, content: str, architectures=("arm64", "x86_64")):
        """Creates packages like package.sh, with this content."""
        sums = []
        for path in self.packages.glob("*"):
            path.unlink()
        for architecture in architectures:
            path = self.packages / f"bootstrap-{architecture}.zip"
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("bootstrap", content + architecture)
            sums.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
        (self.packages / "SHA256SUMS").write_text("".join(sums))
        (self.packages / "VERSION").write_text(f"{VERSION}\n")

    def script(self, name: str, region: str = "eu-west-1", **variables: str) -> subprocess.CompletedProcess:
        return self.cloud.run(SCRIPTS / f"{name}.sh", region=region, PACKAGES=str(self.packages), **variables)

    def succeeds(self, done: subprocess.CompletedProcess) -> str:
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def publish(self, region: str = "eu-west-1", **variables: str) -> str:
        """Publishes the packages. Returns the URL of the template."""
        text = self.succeeds(self.script("publish", region, BUCKET_PREFIX="acme", **variables))
        return re.search(r"--template-url (\S+)", text)[1]

    def create(self, url: str, region: str = "eu-west-1", **parameters: str):
        given = [f"ParameterKey={name},ParameterValue={value}" for name, value in parameters.items()]
        more = ["--parameters", *given] if given else []
        self.cloud.aws(
            "cloudformation", "create-stack", "--stack-name", NAME, "--capabilities", "CAPABILITY_NAMED_IAM",
            "--template-url", url, *more, region=region,
        )
        self.assertEqual(self.stack(region)["StackStatus"], "CREATE_COMPLETE")

    def function(self, name: str = NAME, region: str = "eu-west-1") -> dict:
        return self.cloud.client("lambda", region).get_function_configuration(FunctionName=name)

    def table(self, name: str, region: str = "eu-west-1") -> dict:
        return self.cloud.client("dynamodb", region).describe_table(TableName=name)["Table"]

    def stack(self, region: str = "eu-west-1") -> dict:
        return self.cloud.client("cloudformation", region).describe_stacks(StackName=NAME)["Stacks"][0]

    def network(self) -> tuple[str, list[str]]:
        ec2 = self.cloud.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=block)["Subnet"]["SubnetId"]
            for block in ["10.0.0.0/24", "10.0.1.0/24"]
        ]
        return vpc, subnets

    def parameters(self, region: str = "eu-west-1") -> dict:
        return {item["ParameterKey"]: item["ParameterValue"] for item in self.stack(region)["Parameters"]}

    def create_user_stack(self, name: str, kind: str, token: str):
        template = {
            "Resources": {
                "Image": {
                    "Type": kind,
                    "Properties": {
                        "ServiceToken": token,
                        "ImageReference": "python:3.13",
                        "RepositoryArn": "arn:aws:ecr:eu-west-1:123456789012:repository/python",
                        "Platform": "all",
                    },
                }
            }
        }
        self.cloud.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))


    def replace_aws(self, pattern: str, commands: str) -> str:
        """Returns a PATH whose AWS CLI runs other commands if its arguments match the pattern of the shell."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "aws").write_text(
            f'#!/bin/sh\ncase " $* " in\n*" "{pattern}" "*) {commands} ;;\n'
            f'*) exec {shutil.which("aws")} "$@" ;;\nesac\n'
        )
        (folder / "aws").chmod(0o755)
        return f"{folder}:{os.environ['PATH']}"

    def deployment(self, **variables: str) -> list[str]:
        """Runs deploy.sh. Returns the arguments of its deployment, which is not sent: moto cannot update the stack."""
        path = self.replace_aws("deploy", 'printf "%s\\n" "$@" >"$0.deployment"')
        self.succeeds(self.script("deploy", PATH=path, **variables))
        return Path(path.split(":")[0], "aws.deployment").read_text().splitlines()


class Stacks(Installation):
    def test_create_stack_installs_the_published_template_without_parameters(self):
        for region in ["eu-west-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1"]:
            with self.subTest(region):
                self.create(self.publish(region), region)
                function = self.function(region=region)
                self.assertEqual(
                    (function["Runtime"], function["Handler"], function["Timeout"], function["MemorySize"]),
                    ("provided.al2023", "bootstrap", 900, 2048),
                )
                self.assertEqual(function["Environment"]["Variables"]["DEFAULT_PLATFORM"], "linux/amd64")
                self.assertFalse(function.get("VpcConfig", {}).get("SubnetIds"))
                self.assertEqual(self.function(f"{NAME}-watchdog", region)["CodeSha256"], function["CodeSha256"])
                outputs = {item["OutputKey"]: item["OutputValue"] for item in self.stack(region)["Outputs"]}
                self.assertEqual(outputs["Arn"], function["FunctionArn"])
                self.assertEqual(outputs["RoleArn"], function["Role"])
                queue = self.cloud.client("sqs", region).get_queue_attributes(
                    QueueUrl=outputs["UnansweredEvents"], AttributeNames=["All"]
                )["Attributes"]
                self.assertEqual(queue["MessageRetentionPeriod"], "7200")
                table = self.function(region=region)["Environment"]["Variables"]["STATE_TABLE"]
                self.assertEqual(outputs["StateTableName"], table)
                self.assertEqual(self.table(table, region)["KeySchema"], [{"AttributeName": "Image", "KeyType": "HASH"}])
                output = self.succeeds(self.script("delete", region))
                self.assertIn("The stack was deleted.", output)
                self.assertIn(f"install the provider with StateTable={table}.", output)
                self.assertIn("Not checked: stacks in other Regions and accounts", output)
                with self.assertRaisesRegex(ClientError, "does not exist"):
                    self.stack(region)
                with self.assertRaisesRegex(ClientError, "(?i)not ?found"):
                    self.function(region=region)

    def test_the_function_is_in_the_vpc_and_the_watchdog_is_not(self):
        vpc, subnets = self.network()
        self.create(self.publish(), AppVPC=vpc, Subnets="\\,".join(subnets))
        inside = self.function()["VpcConfig"]
        self.assertEqual(sorted(inside["SubnetIds"]), sorted(subnets))
        groups = self.cloud.client("ec2").describe_security_groups(GroupIds=inside["SecurityGroupIds"])
        (group,) = groups["SecurityGroups"]
        self.assertEqual(group["VpcId"], vpc)
        self.assertFalse(self.function(f"{NAME}-watchdog").get("VpcConfig", {}).get("SubnetIds"))
        self.succeeds(self.script("delete"))

    def test_incomplete_parameters_violate_a_rule_of_the_published_template(self):
        template = self.published(self.publish())
        vpc, subnets = self.network()
        incomplete = [{"AppVPC": vpc}, {"Subnets": ",".join(subnets)}, {"SecurityGroupIds": "sg-01234567"}]
        for given in incomplete:
            with self.subTest(given):
                # moto ignores Rules, so it would accept these.
                self.assertEqual(len(Evaluation(template, given).rule_violations()), 1)
        self.assertEqual(Evaluation(template).rule_violations(), [])

    def published(self, url: str) -> dict:
        """Returns the template of a URL that publish.sh printed."""
        bucket, key = re.fullmatch(r"https://([^.]+)\.s3\.[^/]+/(.+)", url).groups()
        path = self.packages / "published.yaml"
        self.cloud.client("s3").download_file(bucket, key, str(path))
        return yaml.load(path.read_text(), Loader)

    def test_a_published_template_offers_the_packaged_architectures(self):
        self.pack("one", ["x86_64"])
        template = self.published(self.publish())
        self.assertEqual(template["Parameters"]["Architecture"]["Default"], "x86_64")
        self.assertEqual(template["Parameters"]["Architecture"]["AllowedValues"], ["x86_64"])
        done = subprocess.run(
            ["cfn-lint", "--regions", "eu-west-1", "--", str(self.packages / "published.yaml")],
            capture_output=True, text=True,
        )
        self.assertEqual(done.stdout, "")

    def test_publish_prints_the_urls_and_commands(self):
        text = self.succeeds(self.script("publish", BUCKET_PREFIX="acme", REGIONS="eu-west-1,us-east-1"))
        self.assertIn("for arm64 x86_64 from account 123456789012", text)
        for region in ["eu-west-1", "us-east-1"]:
            self.assertRegex(text, rf"--region {region} --stack-name {NAME} \\\n")
            self.assertIn(f"--template-url https://acme-{region}.s3.{region}.amazonaws.com/{NAME}/", text)
            self.assertIn(f"https://{region}.console.aws.amazon.com/cloudformation/home?region={region}#", text)
        again = self.succeeds(self.script("publish", BUCKET_PREFIX="acme"))
        self.assertEqual(again.count("exists already"), 4)
        self.assertNotIn("uploaded", again)
        self.pack("second")
        changed = self.succeeds(self.script("publish", BUCKET_PREFIX="acme"))
        self.assertEqual(changed.count("uploaded"), 4)

    def test_publish_also_uploads_the_refresh_stack(self):
        text = self.succeeds(self.script("publish", BUCKET_PREFIX="acme"))
        url = re.search(r"--stack-name image-refresh \\\n    --capabilities CAPABILITY_IAM --template-url (\S+)", text)[1]
        bucket, key = re.fullmatch(r"https://([a-z0-9-]+)\.s3\.eu-west-1\.amazonaws\.com/(\S+)", url).groups()
        content = self.cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        self.assertEqual(content, REFRESH.read_bytes())

    def policy(self) -> tuple[dict, list[dict]]:
        """Returns the statement that requires TLS, and the other statements of the bucket policy."""
        policy = json.loads(self.cloud.client("s3").get_bucket_policy(Bucket="acme-eu-west-1")["Policy"])
        tls, *others = policy["Statement"]
        return tls, others

    def blocked(self) -> set[bool]:
        """Returns the settings that block public policies of the bucket."""
        block = self.cloud.client("s3").get_public_access_block(Bucket="acme-eu-west-1")
        block = block["PublicAccessBlockConfiguration"]
        self.assertTrue(block["BlockPublicAcls"] and block["IgnorePublicAcls"])
        return {block["BlockPublicPolicy"], block["RestrictPublicBuckets"]}

    def test_a_new_bucket_accepts_requests_with_tls_only(self):
        self.publish()
        tls, others = self.policy()
        self.assertEqual((tls["Effect"], tls["Principal"], tls["Action"]), ("Deny", "*", "s3:*"))
        self.assertEqual(tls["Resource"], ["arn:aws:s3:::acme-eu-west-1", "arn:aws:s3:::acme-eu-west-1/*"])
        self.assertEqual(tls["Condition"], {"Bool": {"aws:SecureTransport": "false"}})
        self.assertEqual(others, [])

    def test_public_access_is_explicit_and_can_be_removed(self):
        output = self.succeeds(self.script("publish", BUCKET_PREFIX="acme", READERS="public"))
        self.assertIn("Everyone on the Internet can read the packages.", output)
        tls, (everyone,) = self.policy()
        self.assertEqual((tls["Sid"], everyone["Principal"], everyone["Action"]), ("TlsOnly", "*", "s3:GetObject"))
        self.assertEqual(everyone["Resource"], f"arn:aws:s3:::acme-eu-west-1/{NAME}/*")
        self.assertNotIn("Condition", everyone)
        self.assertEqual(self.blocked(), {False})
        output = self.succeeds(self.script("publish", BUCKET_PREFIX="acme", READERS="o-abcdefghij"))
        self.assertNotIn("Everyone", output)
        self.assertEqual(self.blocked(), {True})

    def test_readers_can_read_the_packages(self):
        self.publish(READERS="o-abcdefghij, 210987654321")
        tls, statements = self.policy()
        self.assertEqual(tls["Sid"], "TlsOnly")
        organization, account = statements
        self.assertEqual(organization["Condition"], {"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}})
        self.assertEqual(account["Principal"], {"AWS": "arn:aws:iam::210987654321:root"})
        for statement in statements:
            self.assertEqual(statement["Resource"], f"arn:aws:s3:::acme-eu-west-1/{NAME}/*")

    def test_deploy_installs_the_packages_with_a_new_key(self):
        text = self.succeeds(self.script("deploy", PARAMETERS="LogRetention=7 DeleteImages=false"))
        self.assertIn("in account 123456789012, Region eu-west-1", text)
        self.assertEqual(self.function()["Environment"]["Variables"]["DELETE_IMAGES"], "false")
        first = self.parameters()
        self.assertEqual((first["LogRetention"], first["Architecture"]), ("7", "arm64"))
        self.pack("second")
        self.succeeds(self.script("deploy", "us-east-1", ARCHITECTURE="x86_64"))
        second = self.parameters("us-east-1")
        self.assertNotEqual(first["CodeKeyPrefix"], second["CodeKeyPrefix"])
        self.assertEqual((second["LogRetention"], second["Architecture"]), ("30", "x86_64"))

    def test_deploy_keeps_the_installed_architecture(self):
        self.create(self.publish(), Architecture="x86_64")
        for variables, expected in [({}, "x86_64"), ({"ARCHITECTURE": "arm64"}, "arm64")]:
            with self.subTest(**variables):
                self.assertIn(f"Architecture={expected}", self.deployment(**variables))
        self.pack("second", ["arm64"])
        done = self.script("deploy")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(f"deploy.sh: {self.packages} contains no package for x86_64", done.stderr)

    def test_deploy_sets_tags_and_service_role(self):
        role = "arn:aws:iam::123456789012:role/deployments"
        self.succeeds(self.script("deploy", TAGS="team=images stage=test", ROLE_ARN=role))
        stack = self.stack()
        self.assertEqual(stack["RoleARN"], role)
        self.assertEqual({tag["Key"]: tag["Value"] for tag in stack["Tags"]}, {"team": "images", "stage": "test"})

    def test_an_existing_table_is_adopted(self):
        self.create(self.publish(), StateTable="images")
        self.assertEqual(self.function()["Environment"]["Variables"]["STATE_TABLE"], "images")
        self.assertEqual(self.cloud.client("dynamodb").list_tables()["TableNames"], [])

    def test_a_provider_from_an_image_is_not_deployed_without_a_new_image(self):
        image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/provider"
        self.create(self.publish(), CodeImageUri=f"{image}:1")
        for given in ["", "LogRetention=7", "CodeImageUri= LogRetention=7"]:
            with self.subTest(given):
                done = self.script("deploy", PARAMETERS=given)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertRegex(done.stderr, rf"^deploy.sh: stack {NAME} runs the image {image}:1, .*\n$")
        accepted = self.script("deploy", PARAMETERS=f"LogRetention=7 CodeImageUri={image}:2")
        self.assertIn("Installs the provider", accepted.stdout)

    def test_a_bucket_of_another_account_is_not_used(self):
        other = self.cloud.client("s3", account="210987654321")
        bucket = f"{NAME}-123456789012-eu-west-1"
        other.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        done = self.script("deploy")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(f"deploy.sh: bucket {bucket} belongs to another account, or you have no access to it;", done.stderr)
        self.assertNotIn("Contents", other.list_objects_v2(Bucket=bucket))

    def test_the_rest_of_a_failed_installation_is_deleted_without_a_search_for_users(self):
        self.publish()
        self.cloud.client("cloudformation").create_change_set(
            StackName=NAME, ChangeSetName="first", ChangeSetType="CREATE",
            TemplateBody=(SCRIPTS / f"{NAME}.yaml").read_text(), Capabilities=["CAPABILITY_NAMED_IAM"],
        )
        self.assertEqual(self.stack()["StackStatus"], "REVIEW_IN_PROGRESS")
        output = self.succeeds(self.script("delete"))
        self.assertIn(f"the rest of stack {NAME}, whose creation failed", output)

    def test_a_provider_that_stacks_use_is_not_deleted_without_force(self):
        self.create(self.publish())
        token = self.function()["FunctionArn"]
        for name, kind in [("images", "Custom::ContainerImage"), ("other", "Custom::Image")]:
            self.create_user_stack(name, kind, token)
        self.create_user_stack("unrelated", "Custom::Image", self.another_function(token))
        done = self.script("delete")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertRegex(done.stdout, r"These stacks use it:\n  images\n  other\n")
        self.assertIn("set FORCE=1", done.stderr)
        self.assertEqual(self.stack()["StackStatus"], "CREATE_COMPLETE")
        self.assertIn("The stack was deleted.", self.succeeds(self.script("delete", FORCE="1")))

    def another_function(self, token: str) -> str:
        """Creates a function with another name. Returns its ARN."""
        code = {"S3Bucket": "acme-eu-west-1", "S3Key": f"{self.parameters()['CodeKeyPrefix']}-arm64.zip"}
        created = self.cloud.client("lambda").create_function(
            FunctionName="another-function", Role=self.function()["Role"], Code=code,
            Runtime="provided.al2023", Handler="bootstrap",
        )
        self.assertNotEqual(created["FunctionArn"], token)
        return created["FunctionArn"]

    def test_a_missing_setting_is_reported(self):
        for script, variables, message in [
            ("publish", {}, "publish.sh: set BUCKET_PREFIX"),
            ("publish", {"BUCKET_PREFIX": "acme", "READERS": "acme"}, "READERS has acme, which is not public, an organization"),
            ("publish", {"BUCKET_PREFIX": "acme", "READERS": "public,o-abcdefghij"}, "set READERS=public to publish"),
            ("publish", {"BUCKET_PREFIX": "acme", "READERS": ","}, "READERS contains no reader"),
            ("publish", {"BUCKET_PREFIX": "acme", "READERS": "12345"}, "READERS has 12345, which is not public, an"),
            ("publish", {"BUCKET_PREFIX": "s3://acme"}, "BUCKET_PREFIX is s3://acme; expected 2 to 48"),
            ("deploy", {"BUCKET_PREFIX": "Acme"}, "BUCKET_PREFIX is Acme; expected 2 to 48"),
            ("delete", {"STACK": "nothing"}, "stack nothing does not exist in account 123456789012"),
            ("deploy", {"ARCHITECTURE": "amd64"}, "ARCHITECTURE is amd64; expected arm64 or x86_64"),
            ("deploy", {"PACKAGES": "/nowhere"}, "deploy.sh: /nowhere contains no packages; run make package"),
        ]:
            with self.subTest(script, **variables):
                variables = {"PACKAGES": str(self.packages), **variables}
                done = self.cloud.run(SCRIPTS / f"{script}.sh", **variables)
                self.assertEqual(done.returncode, 1)
                self.assertIn(message, done.stderr)


if __name__ == "__main__":
    unittest.main()
