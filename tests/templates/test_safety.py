"""deploy.sh and delete.sh change only the provider's stack, and deploy.sh rejects mistakes before it changes anything.

deploy.sh finds mistakes in PARAMETERS that the AWS CLI ignores.
"""

import json
import re
import unittest

from test_stacks import NAME, SCRIPTS, VERSION, Installation

QUEUE = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}


class OtherStacks(Installation):
    def setUp(self):
        super().setUp()
        self.formation = self.cloud.client("cloudformation")

    def fails(self, name: str, **variables: str) -> str:
        """Runs a script that fails. Returns its message."""
        done = self.script(name, **variables)
        self.assertEqual(done.returncode, 1, done.stdout)
        return done.stderr

    def test_the_stack_of_an_application_is_not_deleted_or_replaced(self):
        self.formation.create_stack(StackName="application", TemplateBody=json.dumps(QUEUE))
        for script, variables in [("delete", {}), ("delete", {"FORCE": "1"}), ("deploy", {})]:
            with self.subTest(script, **variables):
                message = self.fails(script, STACK="application", **variables)
                self.assertIn(f"{script}.sh: stack application does not install the provider", message)
                resources = self.formation.list_stack_resources(StackName="application")["StackResourceSummaries"]
                self.assertEqual([item["ResourceType"] for item in resources], ["AWS::SQS::Queue"])
        self.assertEqual(self.cloud.client("s3").list_buckets()["Buckets"], [])

    def test_the_original_provider_is_replaced_and_deleted(self):
        # Its stack has the same logical ID, and no parameter CodeKeyPrefix.
        role = self.cloud.client("iam").create_role(
            RoleName="original", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []})
        )
        self.publish()
        bucket = self.cloud.client("s3")
        key = bucket.list_objects_v2(Bucket="acme-eu-west-1", Prefix=NAME)["Contents"][0]["Key"]
        function = {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "FunctionName": NAME, "Role": role["Role"]["Arn"], "Runtime": "provided.al2023", "Handler": "bootstrap",
                "Code": {"S3Bucket": "acme-eu-west-1", "S3Key": key},
            },
        }
        body = json.dumps({"Resources": {"CFNCustomProvider": function}})
        self.formation.create_stack(StackName=NAME, TemplateBody=body)
        self.assertIn("Architecture=arm64", self.deployment())
        self.assertIn("The stack was deleted.", self.succeeds(self.script("delete")))

    def test_a_failed_creation_without_a_function_can_be_deleted(self):
        # CloudFormation lists no resource that it has not begun to create.
        body = {"Parameters": {"CodeKeyPrefix": {"Type": "String", "Default": "a"}}, **QUEUE}
        self.formation.create_stack(StackName=NAME, TemplateBody=json.dumps(body))
        self.assertIn("The stack was deleted.", self.succeeds(self.script("delete")))

    def test_the_next_step_after_a_failed_deployment_names_the_stack(self):
        # moto's creations do not fail.
        events = "describe-stack-events --region eu-west-1 --stack-name images"
        self.assertRegex(self.failed_deployment(), r"(?m)^deploy.sh: stack images was not created$")
        body = {"Parameters": {"CodeKeyPrefix": {"Type": "String", "Default": "a"}}, **QUEUE}
        self.formation.create_stack(StackName="images", TemplateBody=json.dumps(body))
        message = self.failed_deployment()
        self.assertIn(events, message)
        self.assertNotIn("make delete", message)
        message = self.failed_deployment("ROLLBACK_COMPLETE")
        self.assertIn(events, message)
        self.assertIn("make delete STACK=images before the next deployment", message)

    def failed_deployment(self, status: str = "") -> str:
        """Runs a deployment that fails and, if given, leaves this status. Returns the message."""
        query = f"*'Stacks[0].StackStatus'*) echo {status} ;;\n" if status else ""
        path = self.replace_aws("deploy", f"exit 1 ;;\n{query}nothing) exit 1")
        return self.fails("deploy", STACK="images", PATH=path)


class Mistakes(Installation):
    def test_a_mistake_is_rejected_before_anything_is_created(self):
        for variables, message in [
            ({"PARAMETERS": "LogRetention=7 DefaultPlatforms=all"},
             "the template has no parameter DefaultPlatforms; the most similar name is DefaultPlatform"),
            ({"PARAMETERS": "allowedsource=docker.io"}, "the most similar name is AllowedSources"),
            ({"PARAMETERS": "RepositoryArn=a"}, "the most similar name is RepositoryArns"),
            ({"PARAMETERS": "LogRetention=7\nTypo=1"}, "the template has no parameter Typo;"),
            ({"PARAMETERS": "NoProxy=a b"}, "PARAMETERS has b; expected Name=Value"),
            ({"PARAMETERS": "SecretArns=a SecretArns=b"}, "PARAMETERS sets SecretArns twice; separate list items"),
            ({"PARAMETERS": "Architecture=x86_64"}, "PARAMETERS sets Architecture; set ARCHITECTURE instead"),
            ({"PARAMETERS": "CodeKeyPrefix=a"}, "PARAMETERS sets CodeKeyPrefix, which is set by the deployment"),
            ({"TAGS": "team"}, "TAGS has team; expected Key=Value"),
        ]:
            with self.subTest(**variables):
                # The check is local, so it does not need credentials.
                done = self.script("deploy", AWS_ENDPOINT_URL="http://127.0.0.1:1", **variables)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertRegex(done.stderr, rf"^deploy.sh: .*{re.escape(message)}.*\n$")
        self.assertEqual(self.cloud.client("s3").list_buckets()["Buckets"], [])

    def test_the_deployment_lists_its_parameters_without_their_values(self):
        secret = "HttpsProxy=http://user:password@proxy.example"
        path = self.replace_aws("deploy", "exit 1")
        done = self.script("deploy", PARAMETERS=f"LogRetention=7\n\t{secret}", PATH=path)
        self.assertIn("Sets these parameters: LogRetention HttpsProxy. Other parameters keep", done.stdout)
        self.assertNotIn("password", done.stdout)
        # A misspelt variable has no effect.
        done = self.script("deploy", PARAMETER="LogRetention=7", PATH=path)
        self.assertIn("Sets these parameters: none.", done.stdout)

    def test_the_service_token_is_the_arn_of_the_function(self):
        text = self.succeeds(self.script("deploy", PARAMETERS="FunctionName=images"))
        token = self.function("images")["FunctionArn"]
        self.assertTrue(text.endswith(f"\nServiceToken of Custom::ContainerImage: {token}\n"), text)
        done = self.script("deploy", PATH=self.replace_aws("deploy", "exit 0"), STACK="missing")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertNotIn("ServiceToken", done.stdout)
        self.assertIn("deploy.sh: stack missing has no function", done.stderr)

    def test_packages_of_another_version_are_not_deployed_or_published(self):
        (self.packages / "VERSION").write_text("0.0.1\n")
        for script in ["deploy", "publish"]:
            done = self.script(script, BUCKET_PREFIX="acme")
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(f"{self.packages} contains version 0.0.1, not {VERSION}; run make package", done.stderr)

    def test_the_region_is_determined_before_the_account(self):
        for variables, message in [
            ({"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, "no Region is set; set AWS_REGION"),
            ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "the AWS account could not be determined in Region eu-west-1"),
        ]:
            with self.subTest(**variables):
                done = self.script("deploy", **variables)
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(message, done.stderr)
        # Version 1 of the AWS CLI ignores AWS_REGION.
        text = self.succeeds(self.script("deploy", AWS_REGION="us-east-1", AWS_DEFAULT_REGION=""))
        self.assertIn("Region us-east-1", text)

    def test_the_bucket_prefix_has_the_pattern_of_the_template(self):
        template = (SCRIPTS / f"{NAME}.yaml").read_text()
        (pattern,) = re.findall(r"CodeBucketPrefix:\n(?: .*\n)*?    AllowedPattern: \^\((.*)\)\?\$\n", template)
        self.assertIn(f"'^{pattern}$'", (SCRIPTS / "common.sh").read_text())

    def test_a_prefix_that_ends_in_the_region_causes_a_warning(self):
        done = self.script("publish", BUCKET_PREFIX="acme-us-east-1", REGIONS="eu-west-1,us-east-1")
        self.succeeds(done)
        warning = "WARNING: BUCKET_PREFIX ends in the Region; the bucket is acme-us-east-1-us-east-1.\n"
        self.assertEqual(done.stderr, warning)


if __name__ == "__main__":
    unittest.main()
