"""Runs of the refresh stack's definition for lists with rules, for a list without items, and for an invalid list."""

import json
import unittest
from datetime import datetime, timedelta, timezone

from images import ECR
from stack import Stack
from world import World

# Two of three tags of `web`, a tag that must be two days old, and a repository that does not exist.
LIST = """
images:
  - source: ghcr.io/acme/web
    tags: {newest: 2}
    prune: true
  - source: docker.io/acme/fresh:1.0
    min_age: 48h
  - source: quay.io/acme/missing
    tags: {newest: 1}
    prune: true
"""
MISSING = "quay.io/acme/missing"


class Rules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World())
        cls.stack = Stack(cls.world.cloud)
        cls.world.run("repositories", names=["mirror/acme/web", "mirror/acme/fresh", "mirror/acme/missing"])
        for seed, reference in enumerate(["ghcr.io/acme/web:1.0", "ghcr.io/acme/web:1.1", "docker.io/acme/fresh:1.0"]):
            cls.world.run("image", reference=reference, seed=seed)
        # The registry exists, but not the repository.
        cls.world.run("image", reference="quay.io/acme/other:1.0", seed=3)

    def changes(self, run: str) -> dict:
        """Returns the changes in the report of a run, and the failures."""
        report = self.stack.read(f"runs/{run}/report.json")
        prefix = f"{ECR}/mirror/"
        changes = {image["ImageReference"].removeprefix(prefix): image["Change"] for image in report["Images"]}
        return changes | {failure["Source"]: failure["ErrorType"] for failure in report["Failures"]}

    def tags(self, *tags: str) -> list[bool]:
        """Returns which of the tags of `web` exist in ECR."""
        found = self.world.run("tags", references=[f"mirror/acme/web:{tag}" for tag in tags])
        return [tag["digest"] is not None for tag in found]

    def test_rules_select_wait_and_prune(self):
        machine = self.stack.machine("rules", List=LIST, ToleratedFailurePercentage=50)
        started = datetime.now(timezone.utc)
        execution = machine.run("rules-1")
        self.assertEqual(execution.status, "SUCCEEDED", execution.cause)
        expected = {"acme/fresh:1.0": "waiting", MISSING: "AccessDenied"}
        self.assertEqual(self.changes("rules-1"), {"acme/web:1.0": "new", "acme/web:1.1": "new", **expected})
        images = self.stack.read("runs/rules-1/report.json")["Images"]
        (waits,) = [image["WaitsUntil"] for image in images if image["Change"] == "waiting"]
        end = datetime.fromisoformat(waits)
        # The time is in whole seconds.
        self.assertGreaterEqual(end + timedelta(seconds=1), started + timedelta(hours=48))
        self.assertLess(end, datetime.now(timezone.utc) + timedelta(hours=49))

        self.world.run("image", reference="ghcr.io/acme/web:1.2", seed=4)
        execution = machine.run("rules-2")
        self.assertEqual(execution.status, "SUCCEEDED", execution.cause)
        # The old tag stays until ECR has the new one.
        changes = {"acme/web:1.1": "unchanged", "acme/web:1.2": "new"}
        self.assertEqual(self.changes("rules-2"), {**changes, **expected})
        self.assertEqual(self.tags("1.0", "1.1", "1.2"), [True, True, True])

        execution = machine.run("rules-3")
        self.assertEqual(execution.status, "SUCCEEDED", execution.cause)
        changes = {"acme/web:1.0": "deleted", "acme/web:1.1": "unchanged", "acme/web:1.2": "unchanged"}
        self.assertEqual(self.changes("rules-3"), {**changes, **expected})
        self.assertEqual(self.tags("1.0", "1.1", "1.2"), [False, True, True])
        self.assertEqual(self.stack.received_events(), [])

    def test_a_list_without_items_has_a_report(self):
        text = "images: [{source: quay.io/acme/missing, tags: {newest: 1}}]"
        execution = self.stack.machine("no-items", List=text).run("no-items")
        self.assertEqual((execution.status, execution.error), ("FAILED", "ImagesFailed"))
        self.assertNotIn("MapStateEntered", [event["type"] for event in execution.events])
        self.assertEqual(self.changes("no-items"), {MISSING: "AccessDenied"})

    def test_an_invalid_list_fails_the_execution_with_its_line(self):
        execution = self.stack.machine("invalid", List="images:\n  - nginx:1.27:3\n").run("invalid")
        self.assertEqual((execution.status, execution.error), ("FAILED", "Invalid"))
        self.assertIn("list:2: ", json.loads(execution.cause)["errorMessage"])
