"""Tests the Rules, Conditions and permissions of the provider's template.

moto ignores Rules and the Conditions of some resources, so these tests evaluate the template.
"""

import json
import unittest
from fnmatch import fnmatch

from template import PROVIDER, Evaluation, load, role_statements

CODE = {"CodeBucketPrefix": "acme", "CodeKeyPrefix": "provider/1/bootstrap"}
IMAGE = {"CodeImageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/provider:1"}
VPC, SUBNETS, GROUPS = "vpc-0123456789abcdef0", "subnet-01234567,subnet-89abcdef", "sg-01234567"
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub-AbCdEf"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def evaluate(region: str = "eu-west-1", **parameters) -> Evaluation:
    return Evaluation(load(PROVIDER), parameters, region)


def function(**parameters) -> dict:
    return evaluate(**parameters).resources()["CFNCustomProvider"]["Properties"]


class Rules(unittest.TestCase):
    def test_incomplete_parameters_violate_a_rule(self):
        for given, message in [
            ({}, "Set CodeBucketPrefix and CodeKeyPrefix, or CodeImageUri"),
            ({"CodeBucketPrefix": "acme"}, "Set CodeBucketPrefix and CodeKeyPrefix"),
            ({"CodeKeyPrefix": "provider"}, "Set CodeBucketPrefix and CodeKeyPrefix"),
            ({**CODE, "AppVPC": VPC}, "AppVPC needs Subnets"),
            ({**CODE, "AppVPC": VPC, "SecurityGroupIds": GROUPS}, "AppVPC needs Subnets"),
            ({**CODE, "Subnets": SUBNETS}, "Subnets need AppVPC"),
            ({**CODE, "Subnets": SUBNETS, "SecurityGroupIds": GROUPS}, "Subnets need AppVPC"),
            ({**CODE, "SecurityGroupIds": GROUPS}, "SecurityGroupIds need AppVPC and Subnets"),
            ({**CODE, "AllowIpv6": "true"}, "AllowIpv6 needs AppVPC and Subnets"),
            ({**CODE, "RegistryCredentials": f"docker.io={SECRET}"}, "RegistryCredentials need permission"),
            ({**CODE, "KmsKeyArns": "arn:aws:kms:eu-west-1:123456789012:key/1"}, "KmsKeyArns are the keys"),
            ({**IMAGE, "LayerArns": "arn:aws:lambda:eu-west-1:1:layer:a:1"}, "LayerArns cannot be combined"),
            ({**CODE, "StatePointInTimeRecovery": "true", "StateTable": "state"}, "StatePointInTimeRecovery applies"),
            ({**CODE, "StatePointInTimeRecovery": "true", "StateTable": "none"}, "StatePointInTimeRecovery applies"),
        ]:
            with self.subTest(given):
                violations = evaluate(**given).rule_violations()
                self.assertTrue(any(text.startswith(message) for text in violations), violations)

    def test_complete_parameters_violate_no_rule(self):
        for given in [
            CODE,
            IMAGE,
            {**CODE, **IMAGE},
            {**CODE, "AppVPC": VPC, "Subnets": SUBNETS},
            {**CODE, "AppVPC": VPC, "Subnets": SUBNETS, "SecurityGroupIds": GROUPS, "AllowIpv6": "true"},
            {**CODE, "RegistryCredentials": f"docker.io={SECRET}", "SecretArns": SECRET},
            {**CODE, "StatePointInTimeRecovery": "true"},
            {**CODE, "StateTable": "state"},
        ]:
            with self.subTest(given):
                self.assertEqual(evaluate(**given).rule_violations(), [])


class Function(unittest.TestCase):
    def test_zip_file_and_image_define_the_same_function(self):
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

    def test_the_function_has_a_vpc_configuration_only_in_a_vpc(self):
        self.assertNotIn("VpcConfig", function(**CODE))
        inside = function(**CODE, AppVPC=VPC, Subnets=SUBNETS, SecurityGroupIds=GROUPS)
        self.assertEqual(
            inside["VpcConfig"],
            {"SubnetIds": SUBNETS.split(","), "SecurityGroupIds": [GROUPS], "Ipv6AllowedForDualStack": "false"},
        )

    def test_the_default_security_group_allows_only_outbound_https(self):
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

    def test_an_alarm_reports_at_once_that_the_watchdog_could_not_respond(self):
        resources = evaluate(**CODE, AlarmTopic="arn:aws:sns:eu-west-1:123456789012:alarms").resources()
        alarm = resources["DroppedEventsAlarm"]["Properties"]
        self.assertEqual((alarm["Namespace"], alarm["MetricName"]), ("AWS/Lambda", "AsyncEventsDropped"))
        self.assertEqual(alarm["Dimensions"], [{"Name": "FunctionName", "Value": "<Watchdog>"}])
        alarms = [item["Properties"] for item in resources.values() if item["Type"] == "AWS::CloudWatch::Alarm"]
        self.assertTrue(all(item["AlarmActions"] == ["arn:aws:sns:eu-west-1:123456789012:alarms"] for item in alarms))

    def test_china_lacks_the_metric_of_dropped_events_so_only_the_queue_has_an_alarm(self):
        for region, alarms in [("eu-west-1", 2), ("us-gov-west-1", 2), ("cn-north-1", 1)]:
            resources = evaluate(region, **CODE).resources()
            self.assertEqual(len({"DroppedEventsAlarm", "UnansweredEventsAlarm"} & resources.keys()), alarms, region)
            self.assertIn("UnansweredEventsAlarm", resources)

    def test_throttles_raise_no_alarm_if_the_concurrency_is_reserved(self):
        self.assertIn("ThrottlesAlarm", evaluate(**CODE).resources())
        resources = evaluate(**CODE, ReservedConcurrency="5").resources()
        self.assertNotIn("ThrottlesAlarm", resources)
        self.assertEqual(resources["CFNCustomProvider"]["Properties"]["ReservedConcurrentExecutions"], "5")

    def test_custom_mirrors_come_before_ecr_public_which_is_off_in_china(self):
        public = "docker.io/library=public.ecr.aws/docker/library"
        custom = "docker.io=mirror.acme.example/hub"
        for given, expected in [
            ({}, public),
            ({"region": "us-gov-west-1"}, public),
            ({"region": "cn-north-1"}, ""),
            ({"region": "cn-north-1", "UseEcrPublicMirror": "true"}, public),
            ({"UseEcrPublicMirror": "true"}, public),
            ({"UseEcrPublicMirror": "false"}, ""),
            ({"SourceMirrors": custom}, f"{custom},{public}"),
            ({"SourceMirrors": custom, "UseEcrPublicMirror": "false"}, custom),
        ]:
            with self.subTest(given):
                variables = function(**CODE, **given)["Environment"]["Variables"]
                self.assertEqual(variables["SOURCE_MIRRORS"], expected)

    def test_traces_are_sent_only_with_active_tracing(self):
        self.assertEqual(function(**CODE)["TracingConfig"], {"Mode": "PassThrough"})
        self.assertEqual(function(**CODE, Tracing="Active")["TracingConfig"], {"Mode": "Active"})

    def test_a_key_encrypts_the_environment_and_the_log_groups(self):
        groups = ["CFNCustomProviderLogGroup", "WatchdogLogGroup"]
        resources = evaluate(**CODE, EncryptionKeyArn=KEY).resources()
        self.assertEqual(resources["CFNCustomProvider"]["Properties"]["KmsKeyArn"], KEY)
        self.assertEqual([resources[name]["Properties"]["KmsKeyId"] for name in groups], [KEY, KEY])
        resources = evaluate(**CODE).resources()
        self.assertNotIn("KmsKeyArn", resources["CFNCustomProvider"]["Properties"])
        for name in groups:
            self.assertNotIn("KmsKeyId", resources[name]["Properties"])
        # Otherwise the function's key would not matter to the watchdog.
        self.assertNotIn("Environment", resources["Watchdog"]["Properties"])

    def test_the_environment_is_within_lambdas_limit(self):
        variables = function(**CODE)["Environment"]["Variables"]
        size = sum(len(name) + len(value) for name, value in variables.items())
        # Lambda's limit is 4 KB. CaBundle and lists need the remaining space.
        self.assertLess(size, 512)


class State(unittest.TestCase):
    """The table that the function keeps its state in: created, adopted, or none."""

    def check(self, given: dict, table: str, arn: str | None):
        """The environment, the permission, the output and the alarm agree on the table."""
        evaluation = evaluate(**CODE, **given)
        resources = evaluation.resources()
        variables = resources["CFNCustomProvider"]["Properties"]["Environment"]["Variables"]
        self.assertEqual(variables["STATE_TABLE"], table)
        output = evaluation.value(load(PROVIDER)["Outputs"]["StateTableName"]["Value"])
        self.assertEqual(output, table)
        allowed = [item for item in role_statements(resources) if "dynamodb:" in json.dumps(item)]
        actions = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem"]
        expected = [{"Sid": "KeepState", "Effect": "Allow", "Action": actions, "Resource": arn}] if arn else []
        self.assertEqual(allowed, expected)
        self.assertEqual("StateUnavailableAlarm" in resources, bool(arn))
        self.assertEqual("StateTableResource" in resources, given == {})
        # The watchdog only responds, so it needs no state.
        watchdog = {name: resource for name, resource in resources.items() if name.startswith("Watchdog")}
        self.assertNotIn("dynamodb", json.dumps(watchdog))
        self.assertNotIn("STATE_TABLE", json.dumps(watchdog))

    def test_the_stack_creates_a_table_unless_it_gets_one(self):
        self.check({}, "<StateTableResource>", "<StateTableResource.Arn>")

    def test_a_table_of_the_account_and_region_is_adopted(self):
        self.check({"StateTable": "images"}, "images", "arn:aws:dynamodb:eu-west-1:123456789012:table/images")
        self.check(
            {"StateTable": "images", "region": "cn-north-1"},
            "images", "arn:aws-cn:dynamodb:cn-north-1:123456789012:table/images",
        )

    def test_without_state_the_role_may_use_no_table(self):
        self.check({"StateTable": "none"}, "none", None)

    def test_the_table_outlives_the_stack_but_not_a_failed_creation(self):
        table = load(PROVIDER)["Resources"]["StateTableResource"]
        self.assertEqual(table["DeletionPolicy"], "RetainExceptOnCreate")
        self.assertEqual(table["UpdateReplacePolicy"], "Retain")
        # A fixed name would be taken already when the provider is installed again.
        self.assertNotIn("TableName", table["Properties"])

    def test_the_table_has_the_schema_that_the_function_uses(self):
        table = evaluate(**CODE).resources()["StateTableResource"]["Properties"]
        self.assertEqual(table["KeySchema"], [{"AttributeName": "Image", "KeyType": "HASH"}])
        self.assertEqual(table["AttributeDefinitions"], [{"AttributeName": "Image", "AttributeType": "S"}])
        self.assertEqual(table["TimeToLiveSpecification"], {"AttributeName": "ExpiresAt", "Enabled": True})
        self.assertEqual(table["BillingMode"], "PAY_PER_REQUEST")

    def test_point_in_time_recovery_follows_its_parameter(self):
        for given, expected in [({}, "false"), ({"StatePointInTimeRecovery": "true"}, "true")]:
            table = evaluate(**CODE, **given).resources()["StateTableResource"]["Properties"]
            self.assertEqual(table["PointInTimeRecoverySpecification"], {"PointInTimeRecoveryEnabled": expected})

    def test_events_without_state_are_counted_by_their_last_line(self):
        resources = evaluate(**CODE).resources()
        metric = resources["EventsWithoutState"]["Properties"]
        alarm = resources["StateUnavailableAlarm"]["Properties"]
        self.assertEqual(metric["FilterPattern"], '{ $.state = "unavailable" }')
        (transformation,) = metric["MetricTransformations"]
        self.assertEqual(
            (alarm["Namespace"], alarm["MetricName"]),
            (transformation["MetricNamespace"], transformation["MetricName"]),
        )
        self.assertEqual((alarm["Period"], alarm["Threshold"], alarm["TreatMissingData"]), (300, 1, "notBreaching"))


class Policies(unittest.TestCase):
    def statements(self, **parameters) -> dict:
        return {item["Sid"]: item for item in role_statements(evaluate(**parameters).resources())}

    def test_only_actions_without_resource_support_are_allowed_on_all_resources(self):
        parameters = {**CODE, "AppVPC": VPC, "Subnets": SUBNETS, "SecretArns": SECRET, "Tracing": "Active"}
        broad = {
            sid for sid, item in self.statements(**parameters).items()
            if item["Resource"] == "*" and item["Effect"] == "Allow"
        }
        self.assertEqual(broad, {"GetEcrToken", "ReadEcrPublic", "AttachToVpc", "SendTraces"})

    def test_the_default_repositories_are_those_of_the_account(self):
        own = ["arn:aws-cn:ecr:*:123456789012:repository/*"]
        named = "arn:aws:ecr:eu-west-1:123456789012:repository/base/*"
        for sid in ["ReadDestinations", "WriteDestinations"]:
            self.assertEqual(self.statements(**CODE, region="cn-north-1")[sid]["Resource"], own)
            statements = self.statements(**CODE, RepositoryArns=f"{named},{named}2")
            self.assertEqual(statements[sid]["Resource"], [named, f"{named}2"])

    def test_a_tag_value_restricts_only_actions_that_change_repositories(self):
        changes = ["BatchDelete", "CompleteLayer", "InitiateLayer", "Put", "UploadLayer"]
        for given, condition in [
            ({}, None),
            ({"RepositoryTagValue": "a"}, {"StringEquals": {"ecr:ResourceTag/cfn-container-image-provider": "a"}}),
        ]:
            for sid, statement in self.statements(**CODE, **given).items():
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                changing = [action for action in actions if any(f"ecr:{verb}" in action for verb in changes)]
                with self.subTest(sid, **given):
                    self.assertIn(changing, ([], actions))
                    if changing:
                        self.assertEqual(statement.get("Condition"), condition)
                    else:
                        self.assertNotIn("ResourceTag", json.dumps(statement))

    def test_optional_statements_exist_only_with_their_parameters(self):
        optional = {
            "ReadSecrets", "ReadParameters", "DecryptSecretsAndParameters", "AttachToVpc",
            "OnlyLambdaItselfAttaches", "FillPullThroughCache", "SignPushedImages", "SendTraces",
            "DecryptEnvironment",
        }
        self.assertFalse(optional & self.statements(**CODE).keys())
        statements = self.statements(
            **CODE, AppVPC=VPC, Subnets=SUBNETS, SecretArns=SECRET,
            ParameterArns="arn:aws:ssm:eu-west-1:123456789012:parameter/hub",
            KmsKeyArns="arn:aws:kms:eu-west-1:123456789012:key/1",
            PullThroughRepositoryArns="arn:aws:ecr:eu-west-1:123456789012:repository/hub/*",
            SigningProfileArns="arn:aws:signer:eu-west-1:123456789012:/signing-profiles/images",
            Tracing="Active", EncryptionKeyArn=KEY,
        )
        self.assertLessEqual(optional, statements.keys())

    def test_the_key_permission_is_limited_to_the_environment(self):
        statement = self.statements(**CODE, EncryptionKeyArn=KEY)["DecryptEnvironment"]
        self.assertEqual((statement["Action"], statement["Resource"]), ("kms:Decrypt", KEY))
        arn = "arn:aws:lambda:eu-west-1:123456789012:function:cfn-container-image-provider"
        context = {"kms:EncryptionContext:aws:lambda:FunctionArn": arn}
        self.assertEqual(statement["Condition"], {"StringEquals": context})

    def test_ecr_public_tokens_are_allowed_only_in_the_aws_partition(self):
        self.assertIn("ReadEcrPublic", self.statements(**CODE))
        for region in ["cn-north-1", "us-gov-west-1"]:
            self.assertNotIn("ReadEcrPublic", self.statements(**CODE, region=region))

    def test_only_the_function_role_gets_a_name_and_only_by_its_parameter(self):
        for given, name in [({}, None), ({"RoleName": "images"}, "images")]:
            resources = evaluate(**CODE, RolePath="/platform/", **given).resources()
            roles = {key: item["Properties"] for key, item in resources.items() if item["Type"] == "AWS::IAM::Role"}
            self.assertEqual(roles.keys(), {"LambdaRole", "WatchdogRole"})
            self.assertEqual(roles["LambdaRole"].get("RoleName"), name)
            self.assertNotIn("RoleName", roles["WatchdogRole"])
            self.assertEqual({role["Path"] for role in roles.values()}, {"/platform/"})

    def test_a_function_that_leaves_its_vpc_keeps_the_permission_to_remove_its_interfaces(self):
        template = load(PROVIDER)
        role = json.dumps(template["Resources"]["LambdaRole"])
        self.assertNotIn("ec2:", role)
        inside = evaluate(**CODE, AppVPC=VPC, Subnets=SUBNETS).resources()
        self.assertEqual(inside["VpcAccess"]["Properties"]["Roles"], ["<LambdaRole>"])
        self.assertEqual(inside["EgressSecurityGroup"]["DependsOn"], "VpcAccess")
        # CloudFormation therefore creates the permission before the function and deletes it after the function.
        self.assertIn('{"Ref": "VpcAccess"}', json.dumps(template["Resources"]["CFNCustomProvider"]))
        self.assertNotIn("VpcAccess", evaluate(**CODE).resources())

    def test_keys_are_restricted_to_the_services_in_all_partitions(self):
        for region, suffix in [("eu-west-1", "amazonaws.com"), ("cn-north-1", "amazonaws.com.cn")]:
            key = "arn:aws:kms:eu-west-1:123456789012:key/1"
            statements = self.statements(**CODE, SecretArns=SECRET, KmsKeyArns=key, region=region)
            via = statements["DecryptSecretsAndParameters"]["Condition"]["StringLike"]["kms:ViaService"]
            for service in ["secretsmanager", "ssm"]:
                self.assertTrue(any(fnmatch(f"{service}.{region}.{suffix}", pattern) for pattern in via))
            self.assertFalse(any(fnmatch(f"lambda.{region}.{suffix}", pattern) for pattern in via))

    def test_the_names_of_the_original_template_exist(self):
        template = load(PROVIDER)
        self.assertLessEqual({"CFNCustomProvider", "LambdaRole", "CFNCustomProviderLogGroup"}, template["Resources"].keys())
        self.assertLessEqual({"AppVPC", "Subnets", "SecurityGroupIds"}, template["Parameters"].keys())
        self.assertNotIn("Transform", template)


if __name__ == "__main__":
    unittest.main()
