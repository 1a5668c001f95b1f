"""The roles of the refresh stack allow exactly what its workflow calls. Its bucket, schedule and alarms."""

import json
import re
import unittest

from refresh import KEY, TOPIC, VARIANTS, definition, evaluate, nodes
from template import PROVIDER, REFRESH, ROOT, Evaluation, load
from test_names import column, first_column

FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:cfn-container-image-provider"

# Actions that a task, reader or writer of the workflow calls:
# https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
CALLED = {
    "lambda:invoke": {"lambda:InvokeFunction"},
    "events:putEvents": {"events:PutEvents"},
    "sns:publish": {"sns:Publish"},
    "s3:getObject": {"s3:GetObject"},
    "s3:putObject": {"s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"},
}
CHILD_EXECUTIONS = {
    "states:DescribeExecution", "states:RedriveExecution", "states:StartExecution", "states:StopExecution",
}
# https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
LOGS = {
    "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
    "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
}
ENCRYPTION = {"kms:Decrypt", "kms:GenerateDataKey"}


def actions(statement: dict) -> set[str]:
    return {statement["Action"]} if isinstance(statement["Action"], str) else set(statement["Action"])


def statements(resources: dict, *names: str) -> list[dict]:
    """Returns the statements of roles and policies."""
    found = []
    for name in names:
        properties = resources[name]["Properties"]
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        for document in documents or [properties["PolicyDocument"]]:
            found += document["Statement"]
    return found


def allowed(found: list[dict]) -> set[str]:
    return set().union(*map(actions, found))


class Permissions(unittest.TestCase):
    def test_the_workflow_may_call_exactly_what_its_states_call(self):
        for variant in VARIANTS:
            resources = evaluate(**variant).resources()
            found = definition(**variant)
            expected = LOGS | CHILD_EXECUTIONS
            for node in nodes(found):
                if "Resource" in node:
                    expected |= CALLED[node["Resource"].removeprefix("arn:aws:states:::")]
            if "EncryptionKeyArn" in variant:
                expected |= ENCRYPTION
            self.assertEqual(allowed(statements(resources, "WorkflowRole", "ChildExecutions")), expected, variant)

    def test_the_workflow_may_use_only_the_resources_of_its_states(self):
        resources = evaluate(Topic=TOPIC).resources()
        by_action = {}
        for statement in statements(resources, "WorkflowRole", "ChildExecutions"):
            for action in actions(statement):
                self.assertNotIn(action, by_action)
                by_action[action] = statement["Resource"]
        called = [node["FunctionName"] for node in nodes(definition(Topic=TOPIC)) if "FunctionName" in node]
        self.assertEqual(called, [FUNCTION] * 3)
        execution = "arn:aws:states:eu-west-1:123456789012:execution:<Refresh.Name>"
        self.assertEqual(
            {action: resource for action, resource in by_action.items() if action not in LOGS},
            {
                "lambda:InvokeFunction": FUNCTION,
                "events:PutEvents": "arn:aws:events:eu-west-1:123456789012:event-bus/default",
                "sns:Publish": TOPIC,
                "s3:GetObject": "<Bucket.Arn>/runs/*",
                "s3:PutObject": "<Bucket.Arn>/runs/*",
                "s3:AbortMultipartUpload": "<Bucket.Arn>/runs/*",
                "s3:ListMultipartUploadParts": "<Bucket.Arn>/runs/*",
                "states:StartExecution": "<Refresh>",
                "states:DescribeExecution": f"{execution}:*",
                "states:StopExecution": f"{execution}:*",
                "states:RedriveExecution": f"{execution}/{definition()['States']['Images']['Label']}:*",
            },
        )

    def test_the_objects_of_a_run_are_below_the_prefix_that_the_roles_may_use(self):
        keys = [node[key] for node in nodes(definition()) for key in ("Key.$", "Prefix.$") if key in node]
        formats = [key for key in keys if key.startswith("States.Format")]
        self.assertEqual(len(formats), 4)
        for key in formats:
            self.assertRegex(key, r"^States\.Format\('runs/\{\}/[a-z.]+', \$\$\.Execution\.Name\)$")

    def test_the_function_may_read_the_list_and_read_and_write_the_objects_of_runs(self):
        for given, objects, buckets in [
            ({}, "<Bucket.Arn>/list.yaml", ["<Bucket.Arn>"]),
            ({"ListBucket": "acme", "ListKey": "a/b"}, "arn:aws:s3:::acme/a/b", ["<Bucket.Arn>", "arn:aws:s3:::acme"]),
        ]:
            found = {item["Sid"]: item for item in statements(evaluate(**given).resources(), "FunctionAccess")}
            self.assertEqual(found["ReadList"]["Resource"], objects)
            self.assertEqual(found["DistinguishMissingObjects"]["Resource"], buckets)
            self.assertEqual(found["ReadAndWriteRuns"]["Resource"], "<Bucket.Arn>/runs/*")
            self.assertEqual(len(found), 3)
        sources = "arn:aws:ecr:eu-west-1:123456789012:repository/upstream/*"
        with_sources = statements(evaluate(SourceRepositoryArns=f"{sources},{sources}2").resources(), "FunctionAccess")
        tags, = [item for item in with_sources if item["Sid"] == "ListTagsOfSources"]
        self.assertEqual((tags["Action"], tags["Resource"]), ("ecr:ListImages", [sources, f"{sources}2"]))
        with_key = statements(evaluate(EncryptionKeyArn=KEY).resources(), "FunctionAccess")
        self.assertEqual([actions(item) for item in with_key if item["Resource"] == KEY], [ENCRYPTION])

    def test_the_key_of_the_list_is_no_pattern_and_no_object_of_a_run(self):
        pattern = load(REFRESH)["Parameters"]["ListKey"]["AllowedPattern"]
        for key, is_valid in [("lists/a.yaml", True), ("*", False), ("a?", False), ("runs/a.yaml", False), ("", False)]:
            self.assertEqual(re.fullmatch(pattern.strip("^$"), key) is not None, is_valid, key)

    def test_the_policy_belongs_to_the_role_that_the_provider_exports(self):
        for name in ["cfn-container-image-provider", "second_provider"]:
            provider = Evaluation(load(PROVIDER), {"FunctionName": name})
            output = provider.value(load(PROVIDER)["Outputs"]["RoleName"])
            self.assertEqual(output["Value"], "<LambdaRole>")
            roles = evaluate(FunctionName=name).resources()["FunctionAccess"]["Properties"]["Roles"]
            self.assertEqual(roles, [f"<{output['Export']['Name']}>"])
            self.assertRegex(output["Export"]["Name"], "^[A-Za-z0-9:-]+$")

    def test_the_schedule_may_only_start_the_workflow(self):
        resources = evaluate().resources()
        schedule = resources["Schedule"]["Properties"]
        found, = statements(resources, "ScheduleRole")
        self.assertEqual((found["Action"], found["Resource"]), ("states:StartExecution", schedule["Target"]["Arn"]))
        self.assertEqual(schedule["Target"]["RoleArn"], "<ScheduleRole.Arn>")

    def test_roles_trust_only_the_services_for_this_stack(self):
        resources = evaluate().resources()
        for name, service, source in [
            ("WorkflowRole", "states", "arn:aws:states:eu-west-1:123456789012:stateMachine:*"),
            ("ScheduleRole", "scheduler", "<ScheduleGroup.Arn>"),
        ]:
            statement, = resources[name]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
            self.assertEqual(statement["Principal"], {"Service": f"{service}.amazonaws.com"})
            conditions = {key: value for test in statement["Condition"].values() for key, value in test.items()}
            self.assertEqual(conditions, {"aws:SourceAccount": "123456789012", "aws:SourceArn": source})

    def test_all_roles_have_the_path_and_the_boundary(self):
        boundary = "arn:aws:iam::123456789012:policy/boundary"
        resources = evaluate(RolePath="/images/", PermissionsBoundary=boundary).resources()
        roles = [item["Properties"] for item in resources.values() if item["Type"] == "AWS::IAM::Role"]
        self.assertEqual([(role["Path"], role["PermissionsBoundary"]) for role in roles], [("/images/", boundary)] * 2)


class Resources(unittest.TestCase):
    def test_the_bucket_is_private_encrypted_retained_and_accepts_only_tls(self):
        bucket = load(REFRESH)["Resources"]["Bucket"]
        self.assertEqual((bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]), ("RetainExceptOnCreate", "Retain"))
        resources = evaluate().resources()
        properties = resources["Bucket"]["Properties"]
        self.assertEqual(set(properties["PublicAccessBlockConfiguration"].values()), {True})
        statement, = resources["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        self.assertEqual((statement["Effect"], statement["Action"], statement["Principal"]), ("Deny", "s3:*", "*"))
        self.assertEqual(statement["Resource"], ["<Bucket.Arn>", "<Bucket.Arn>/*"])
        self.assertEqual(statement["Condition"], {"Bool": {"aws:SecureTransport": "false"}})
        for given, algorithm, key in [({}, "AES256", None), ({"EncryptionKeyArn": KEY}, "aws:kms", KEY)]:
            evaluated = evaluate(**given).resources()
            rule, = evaluated["Bucket"]["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
            default = rule["ServerSideEncryptionByDefault"]
            self.assertEqual((default["SSEAlgorithm"], default.get("KMSMasterKeyID")), (algorithm, key))
            self.assertEqual(evaluated["LogGroup"]["Properties"].get("KmsKeyId"), key)

    def test_only_the_objects_of_runs_expire(self):
        rules = evaluate(RunRetention="7").resources()["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
        expiring = [(rule["Prefix"], rule["ExpirationInDays"]) for rule in rules if "ExpirationInDays" in rule]
        self.assertEqual(expiring, [("runs/", "7")])

    def test_the_schedule_follows_its_parameters(self):
        for given, window in [
            ({}, {"Mode": "OFF"}),
            ({"FlexibleWindowMinutes": "15"}, {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": "15"}),
        ]:
            schedule = evaluate(**given).resources()["Schedule"]["Properties"]
            self.assertEqual(schedule["FlexibleTimeWindow"], window)
        schedule = evaluate(ScheduleState="DISABLED", ScheduleTimeZone="Europe/Berlin").resources()["Schedule"]
        self.assertEqual(schedule["Properties"]["State"], "DISABLED")
        self.assertEqual(schedule["Properties"]["ScheduleExpressionTimezone"], "Europe/Berlin")
        self.assertEqual(json.loads(schedule["Properties"]["Target"]["Input"]), {})
        # A run must not start before the permissions exist.
        self.assertEqual(set(schedule["DependsOn"]), {"ChildExecutions", "FunctionAccess"})

    def test_alarms_watch_the_runs_and_the_schedule(self):
        found = {}
        for name, item in evaluate(AlarmTopic=TOPIC).resources().items():
            if item["Type"] == "AWS::CloudWatch::Alarm":
                alarm = item["Properties"]
                self.assertEqual((alarm["AlarmActions"], alarm["TreatMissingData"]), ([TOPIC], "notBreaching"))
                found[name] = (alarm["Namespace"], alarm["MetricName"], alarm["Dimensions"][0]["Value"])
        self.assertEqual(found, {
            "FailedRunsAlarm": ("AWS/States", "ExecutionsFailed", "<Refresh>"),
            "TimedOutRunsAlarm": ("AWS/States", "ExecutionsTimedOut", "<Refresh>"),
            "AbortedRunsAlarm": ("AWS/States", "ExecutionsAborted", "<Refresh>"),
            "NotStartedAlarm": ("AWS/Scheduler", "InvocationDroppedCount", "<ScheduleGroup>"),
        })
        self.assertEqual(first_column(ROOT / "docs" / "refresh.md", "Alarms"), set(found))

    def test_the_outputs_name_the_list(self):
        for given, expected in [
            ({}, "s3://<Bucket>/list.yaml"),
            ({"ListBucket": "acme", "ListKey": "a"}, "s3://acme/a"),
            ({"List": "nginx"}, "none"),
        ]:
            evaluation = evaluate(**given)
            outputs = evaluation.value(load(REFRESH)["Outputs"])
            self.assertEqual(outputs["ListObject"]["Value"], expected)
            self.assertEqual((outputs["StateMachineArn"]["Value"], outputs["BucketName"]["Value"]), ("<Refresh>", "<Bucket>"))

    def test_a_command_can_send_the_template_without_a_bucket(self):
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
        self.assertLessEqual(len(REFRESH.read_bytes()), 51_200)

    def test_the_documentation_has_every_parameter(self):
        self.assertEqual(column(ROOT / "docs" / "refresh.md", "Parameters", 1), load(REFRESH)["Parameters"].keys())


if __name__ == "__main__":
    unittest.main()
