"""Three runs of the refresh stack's definition with 200 images, of which five are broken."""

import unittest
from collections import Counter

from images import BROKEN, BURSTS, ECR, GOOD, MISSING_REPOSITORY, MISSING_TAG, OTHER_PLATFORM
from images import list_text, name, publish, source
from stack import OWNER, PAYLOAD_LIMIT, Stack
from template import ROOT, Evaluation, load
from world import World

CONCURRENCY = 5
# The image whose tag moves before the third run.
MOVED = GOOD[77]
SAMPLE = load(ROOT / "samples" / "refresh-pipeline.yaml")


class Run:
    """An execution, and its effects."""

    def __init__(self, world: World, stack: Stack, machine, name: str):
        self.execution = machine.run(name)
        self.report = stack.read(f"runs/{name}/report.json")
        self.manifest = stack.read(self.execution.result("Images")["Run"]["ResultWriterDetails"]["Key"])
        self.children = [
            child for files in self.manifest["ResultFiles"].values() for file in files
            for child in stack.read(file["Key"])
        ]
        self.messages, self.events = stack.received_messages(), stack.received_events()
        self.function, self.requests = world.run("function"), world.run("requests")

    def requests_to_sources(self, *operations: str) -> Counter:
        """Returns the number of requests by repository, without challenges."""
        counter = Counter()
        for group in self.requests:
            is_counted = group["service"] == "upstream" and group["status"] != 401 and group["fault"] is None
            if is_counted and group["operation"] in operations:
                counter[group["repository"]] += group["count"]
        return counter


class Refresh(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World())
        cls.stack = Stack(cls.world.cloud)
        publish(cls.world)
        cls.stack.put_list(list_text())
        strict = cls.stack.machine("strict", MaxConcurrency=CONCURRENCY)
        tolerant = cls.stack.machine("tolerant", MaxConcurrency=CONCURRENCY, ToleratedFailurePercentage=5)
        cls.world.run("faults", faults=BURSTS)
        cls.first = Run(cls.world, cls.stack, strict, "first")
        cls.hits = Counter()
        for group in cls.first.requests:
            if group["fault"] is not None:
                cls.hits[group["operation"]] += group["count"]
        cls.digests = cls.copies(cls.world)
        cls.second = Run(cls.world, cls.stack, tolerant, "second")
        cls.world.run("image", reference=MOVED, seed=2000)
        pipelines = [cls.pipeline(reference) for reference in [MOVED, GOOD[0]]]
        cls.third = Run(cls.world, cls.stack, tolerant, "third")
        cls.starts = [cls.stack.received_events(queue) for queue in pipelines]

    @classmethod
    def pipeline(cls, reference: str) -> str:
        """Creates the rule of the sample for an image, and returns the queue in place of its pipeline."""
        repository, tag = name(reference).split(":")
        parameters = {"Pipeline": "build", "Email": "team@example.com", "Repository": repository, "TagPrefix": tag}
        rule = Evaluation(SAMPLE, parameters).resources()["MovedImage"]["Properties"]
        return cls.stack.rule(repository.replace("/", "-"), rule["EventPattern"])

    @staticmethod
    def copies(world: World) -> list[dict]:
        return world.run("tags", references=[name(reference) for reference in GOOD])

    def check_report(self, run: Run, **expected: int):
        """Checks the numbers of the summary. All others are 0, except bytes and pulls."""
        summary = {key: value for key, value in run.report["Summary"].items() if key not in ["BytesCopied", "Pulls"]}
        others = dict.fromkeys(summary, 0)
        self.assertEqual(summary, {**others, "Images": 200, "Failed": len(BROKEN), **expected})
        self.assertEqual((run.report["Execution"], run.report["Owner"]), (run.execution.arn, OWNER))

    def test_the_first_run_copies_all_images_that_are_not_broken(self):
        self.assertEqual([copy["problems"] for copy in self.digests], [[]] * len(GOOD))
        self.check_report(self.first, New=len(GOOD))
        self.assertGreater(self.first.report["Summary"]["BytesCopied"], 0)

    def test_all_bursts_hit_the_first_run(self):
        self.assertEqual(self.hits, Counter({burst["match"]["operation"]: burst["match"]["times"] for burst in BURSTS}))
        # The wait of the first burst is too long for an invocation, so Step Functions repeats the image.
        self.assertGreaterEqual(self.first.function["invocations"], 2 + 200 + BURSTS[0]["match"]["times"])

    def test_the_report_names_the_broken_images_with_reasons(self):
        for run in [self.first, self.second, self.third]:
            failures = {failure["Source"]: failure for failure in run.report["Failures"]}
            self.assertEqual(list(failures), sorted(BROKEN))
            for reference, (error_type, reason) in BROKEN.items():
                failure = failures[reference]
                self.assertEqual(failure["Destination"], f"{ECR}/{name(reference)}")
                self.assertEqual(failure["ErrorType"], error_type)
                self.assertIn(reason, failure["Message"])

    def test_no_more_images_are_copied_at_once_than_the_parameter_allows(self):
        # A process that ended would be counted twice.
        self.assertEqual(self.third.function["exits"], [])
        self.assertEqual(self.third.function["processes"], CONCURRENCY)

    def test_the_execution_fails_if_more_than_the_tolerated_share_failed(self):
        self.assertEqual((self.first.execution.status, self.first.execution.error), ("FAILED", "ImagesFailed"))
        self.assertEqual(self.first.execution.cause, self.first.messages[0]["Subject"])
        for run in [self.second, self.third]:
            self.assertEqual(run.execution.status, "SUCCEEDED", run.execution.cause)

    def test_the_message_has_the_summary(self):
        (message,) = self.first.messages
        self.assertLessEqual(len(message["Subject"]), 100)
        for text in ["195", "5", *BROKEN]:
            self.assertIn(text, message["Message"])
        (message,) = self.third.messages
        for text in [name(MOVED), *BROKEN]:
            self.assertIn(text, message["Message"])

    def test_new_and_unchanged_images_cause_no_event(self):
        self.assertEqual((self.first.events, self.second.events), ([], []))

    def test_the_second_run_copies_nothing(self):
        self.check_report(self.second, Unchanged=len(GOOD))
        self.assertEqual(self.copies_before_the_move(), self.digests)
        summary = self.second.report["Summary"]
        writes = {"manifest.put", "upload.start", "upload.put", "ecr:PutImage", "ecr:InitiateLayerUpload"}
        seen = {group["operation"] for group in self.second.requests}
        self.assertEqual((summary["BytesCopied"], seen & writes), (0, set()))

    def copies_before_the_move(self) -> list[dict]:
        """Returns the current copies with the earlier copy of the image that moved."""
        copies = self.copies(self.world)
        index = GOOD.index(MOVED)
        self.assertNotEqual(copies[index]["digest"], self.digests[index]["digest"])
        return [*copies[:index], self.digests[index], *copies[index + 1:]]

    def test_the_second_run_costs_one_head_for_each_image(self):
        heads = self.second.requests_to_sources("manifest.head")
        # The function stops to wait for the source if ECR's error comes first.
        heads.pop(source(MISSING_REPOSITORY), None)
        expected = [source(reference) for reference in [*GOOD, MISSING_TAG, OTHER_PLATFORM]]
        self.assertEqual(heads, Counter(expected))
        # The manifest that lists the platforms, and the image that it was expected to contain.
        reads = self.second.requests_to_sources("manifest.get", "blob.get", "blob.head", "tags.list")
        self.assertEqual(list(reads), [source(OTHER_PLATFORM)])

    def test_a_moved_tag_causes_one_event(self):
        self.check_report(self.third, Unchanged=len(GOOD) - 1, Moved=1)
        (event,) = self.third.events
        index = GOOD.index(MOVED)
        (copy,) = self.world.run("tags", references=[name(MOVED)])
        repository, tag = name(MOVED).split(":")
        (child,) = [child for child in self.third.children if "moved" in child.get("Output", "")]
        self.assertEqual((event["source"], event["detail-type"]), ("container-image.refresh", "Container Image Moved"))
        self.assertEqual(event["detail"], {
            "source": MOVED,
            "repository": f"{ECR}/{repository}",
            "tag": tag,
            "digest": copy["digest"],
            "previousDigest": self.digests[index]["digest"],
            "imageUri": f"{ECR}/{repository}@{copy['digest']}",
            "owner": OWNER,
            "execution": child["ExecutionArn"],
        })

    def test_the_rule_of_the_sample_matches_only_its_image(self):
        self.assertEqual([[event["detail"]["source"] for event in events] for events in self.starts], [[MOVED], []])

    def test_all_payloads_are_below_the_limit(self):
        for run in [self.first, self.second, self.third]:
            children = [child[name] for child in run.children for name in ["Input", "Output"] if name in child]
            sizes = [len(payload.encode()) for payload in [*run.execution.payloads(), *children]]
            self.assertGreater(len(sizes), 400)
            self.assertLess(max(sizes), PAYLOAD_LIMIT)
