"""The workflow of the refresh stack: its states, its input and its retry rules."""

import json
import re
import unittest

from export import PARAMETERS
from refresh import TOPIC, VARIANTS, definition, evaluate, nodes
from template import PROVIDER, ROOT, Evaluation, load
from test_commands import commands
from test_names import SOURCE, first_column


def machines(definition: dict) -> list[dict]:
    """Returns the workflow and those of its Map states."""
    found = [definition]
    for state in definition["States"].values():
        if state["Type"] == "Map":
            found += machines(state["ItemProcessor"])
    return found


def copy_retriers() -> list[dict]:
    return definition()["States"]["Images"]["ItemProcessor"]["States"]["Copy"]["Retry"]


class Workflow(unittest.TestCase):
    def test_every_state_is_reachable_and_every_next_state_exists(self):
        for variant in VARIANTS:
            for machine in machines(definition(**variant)):
                targets = {machine["StartAt"]}
                for state in machine["States"].values():
                    choices = [choice["Next"] for choice in state.get("Choices", [])]
                    targets |= {*choices, state.get("Next"), state.get("Default")} - {None}
                self.assertEqual(targets, machine["States"].keys(), variant)

    def test_without_a_topic_nothing_is_published(self):
        self.assertNotIn("sns:publish", json.dumps(definition()))
        publish = definition(Topic=TOPIC)["States"]["Publish"]
        self.assertEqual(publish["Parameters"]["TopicArn"], TOPIC)

    def test_the_numbers_of_the_parameters_are_numbers_in_the_workflow(self):
        states = definition(MaxConcurrency="4", ToleratedFailurePercentage="5")["States"]
        expand, report = states["Expand"], states["Report"]
        self.assertEqual(expand["ResultSelector"]["MaxConcurrency.$"], "States.StringToJson('4')")
        self.assertEqual(states["Images"]["MaxConcurrencyPath"], f"{expand['ResultPath']}.MaxConcurrency")
        tolerated = report["Parameters"]["Payload"]["ToleratedFailurePercentage.$"]
        self.assertEqual(tolerated, "States.StringToJson('5')")

    def test_failed_images_do_not_stop_the_others_and_report_decides(self):
        states = definition()["States"]
        images = states["Images"]
        self.assertEqual(images["ToleratedFailurePercentage"], 100)
        children = images["ItemProcessor"]
        self.assertEqual(children["ProcessorConfig"], {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"})
        self.assertNotIn("Catch", json.dumps(children))
        self.assertEqual(states["ImagesFailed"]["Error"], "ImagesFailed")

    def test_a_run_without_items_also_reports(self):
        states = definition()["States"]
        self.assertEqual(states["AnyItems"]["Default"], "NoItems")
        self.assertEqual(states["NoItems"]["Next"], "Report")
        self.assertEqual(states["NoItems"]["ResultPath"], states["Images"]["ResultPath"])

    def test_the_list_is_a_text_or_an_object(self):
        for given, expected in [
            ({}, {"Bucket": "<Bucket>", "Key": "list.yaml"}),
            ({"List": "nginx:1.27"}, {"Text": "nginx:1.27"}),
            ({"ListBucket": "acme", "ListKey": "a/list.txt"}, {"Bucket": "acme", "Key": "a/list.txt"}),
        ]:
            self.assertEqual(definition(**given)["States"]["Expand"]["Parameters"]["Payload"]["List"], expected)
        self.assertEqual(len(evaluate(List="nginx", ListBucket="acme").rule_violations()), 1)
        self.assertEqual(evaluate(List="nginx").rule_violations(), [])

    def test_the_destination_is_in_the_registry_of_the_stack(self):
        for given, expected in [
            ({}, "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror"),
            ({"RepositoryPrefix": ""}, "123456789012.dkr.ecr.eu-west-1.amazonaws.com"),
            ({"region": "cn-north-1"}, "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/mirror"),
        ]:
            self.assertEqual(definition(**given)["States"]["Expand"]["Parameters"]["Payload"]["Prefix"], expected)

    def test_all_states_use_the_same_owner(self):
        for given, expected in [({}, "refresh/stack"), ({"Owner": "nightly"}, "nightly")]:
            owners = [node[key] for node in nodes(definition(**given)) for key in ("Owner", "owner") if key in node]
            self.assertEqual(owners, [expected] * 3)

    def test_the_event_has_the_documented_fields(self):
        announce = definition()["States"]["Images"]["ItemProcessor"]["States"]["Announce"]
        entry, = announce["Parameters"]["Entries"]
        fields = {name.removesuffix(".$") for name in entry["Detail"]}
        self.assertEqual(first_column(ROOT / "docs" / "refresh.md", "Events"), fields)
        self.assertEqual((entry["Source"], entry["DetailType"]), ("container-image.refresh", "Container Image Moved"))


class SamplesOfTheWorkflow(unittest.TestCase):
    def test_the_rule_of_the_pipeline_matches_the_event(self):
        announce = definition()["States"]["Images"]["ItemProcessor"]["States"]["Announce"]
        entry, = announce["Parameters"]["Entries"]
        resources = Evaluation(load(ROOT / "samples" / "refresh-pipeline.yaml"), PARAMETERS["refresh-pipeline"]).resources()
        pattern = resources["MovedImage"]["Properties"]["EventPattern"]
        self.assertEqual((pattern["source"], pattern["detail-type"]), ([entry["Source"]], [entry["DetailType"]]))
        self.assertLessEqual({f"{name}.$" for name in pattern["detail"]}, entry["Detail"].keys())

    def test_the_dashboard_shows_metrics_of_the_workflow_and_the_provider(self):
        path = ROOT / "samples" / "refresh-dashboard.yaml"
        dashboard = Evaluation(load(path), PARAMETERS["refresh-dashboard"]).resources()["Dashboard"]
        widgets = json.loads(dashboard["Properties"]["DashboardBody"])["widgets"]
        metrics = [metric for widget in widgets for metric in widget["properties"]["metrics"]]
        provider = load(PROVIDER)["Resources"].values()
        names = {item["Properties"]["MetricTransformations"][0]["MetricName"] for item in provider
                 if item["Type"] == "AWS::Logs::MetricFilter"}
        shown = {metric[1] for metric in metrics if metric[0] == "ContainerImage/cfn-container-image-provider"}
        self.assertEqual(len(shown), 2)
        self.assertLessEqual(shown, names)
        label = definition()["States"]["Images"]["Label"]
        machines = {metric[3] for metric in metrics if metric[0] == "AWS/States"}
        arn = PARAMETERS["refresh-dashboard"]["StateMachineArn"]
        self.assertEqual(machines, {arn, f"{arn}/{label}"})


class Retries(unittest.TestCase):
    # Classes that need a change before another attempt can succeed.
    FINAL = {"AccessDenied", "Internal", "Invalid", "NotDeleted", "NotFound", "Rejected"}

    def retried(self) -> set[str]:
        return {error for retrier in copy_retriers() for error in retrier["ErrorEquals"] if "." not in error}

    def test_every_class_of_the_function_is_retried_or_final(self):
        text = (SOURCE / "respond" / "function_error.rs").read_text()
        body = text.split("pub(crate) fn error_type")[1].split("#[cfg(test)]")[0]
        classes = set(re.findall(r'"([A-Z]\w+)"', body))
        self.assertEqual(self.retried() | self.FINAL, classes)
        self.assertEqual(self.retried() & self.FINAL, set())

    def test_the_documented_repetitions_are_those_of_the_workflow(self):
        rows = re.findall(r"(?m)^\| `(\w+)` \|.*\| ([^|]+) \|$", (ROOT / "docs" / "direct.md").read_text())
        repeated = {name for name, repetition in rows if repetition in ("yes", "after its reset")}
        self.assertEqual(repeated, self.retried())
        self.assertEqual({name for name, repetition in rows if repetition == "no"}, self.FINAL)

    def test_the_documented_retriers_are_those_of_the_workflow(self):
        text = commands("direct.md", "Errors", language="json")
        self.assertEqual(json.loads(f"{{{text}}}")["Retry"], copy_retriers())

    def test_no_retrier_has_a_wildcard_and_throttling_has_full_jitter(self):
        for retrier in copy_retriers():
            self.assertFalse([error for error in retrier["ErrorEquals"] if error.startswith("States.")])
            if "Throttled" in retrier["ErrorEquals"]:
                self.assertEqual(retrier["JitterStrategy"], "FULL")
                self.assertIn("Lambda.TooManyRequestsException", retrier["ErrorEquals"])

    def test_the_calls_before_and_after_the_images_do_not_wait_for_a_pull_limit(self):
        states = definition()["States"]
        self.assertEqual(states["Expand"]["Retry"], states["Report"]["Retry"])
        self.assertNotIn("RateLimited", json.dumps(states["Expand"]["Retry"]))
        self.assertFalse(self.FINAL & set(states["Expand"]["Retry"][0]["ErrorEquals"]))


if __name__ == "__main__":
    unittest.main()
