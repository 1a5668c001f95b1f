"""A list of 5,000 images, all of which fail."""

import unittest

from images import ECR, HOSTS
from stack import PAYLOAD_LIMIT, Stack
from template import PROVIDER, load
from world import World

IMAGES = 5_000
# Smallest memory of the function in MB.
MEMORY = load(PROVIDER)["Parameters"]["MemorySize"]["MinValue"]
# Maximum size of a message in bytes (https://docs.aws.amazon.com/sns/latest/api/API_Publish.html).
MESSAGE_LIMIT = 256 * 1024


class LargeList(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World())
        cls.stack = Stack(cls.world.cloud)
        # The registries exist, but none of the repositories.
        for host in HOSTS:
            cls.world.run("image", reference=f"{host}/acme/other:1.0", seed=1)
        cls.references = [f"{HOSTS[number % len(HOSTS)]}/acme/service-{number:04}:1.0" for number in range(IMAGES)]
        cls.stack.put_list("images:\n" + "".join(f"  - source: {reference}\n" for reference in cls.references))
        cls.execution = cls.stack.machine("large").run("large")

    def test_the_list_expands_to_all_images(self):
        items = self.stack.read("runs/large/items.json")
        self.assertEqual(sorted(item["ImageReference"] for item in items), sorted(self.references))

    def test_the_report_contains_all_failures(self):
        self.assertEqual((self.execution.status, self.execution.error), ("FAILED", "ImagesFailed"))
        report = self.stack.read("runs/large/report.json")
        self.assertEqual([failure["Source"] for failure in report["Failures"]], sorted(self.references))

    def test_the_function_needs_less_than_its_smallest_memory(self):
        self.assertLess(self.world.run("function")["peakMemory"], MEMORY * 1024)

    def test_all_payloads_are_below_the_limit(self):
        sizes = [len(payload.encode()) for payload in self.execution.payloads()]
        self.assertGreater(len(sizes), 10)
        self.assertLess(max(sizes), PAYLOAD_LIMIT)

    def test_the_message_is_below_the_limit(self):
        (message,) = self.stack.received_messages()
        self.assertLess(len(message["Message"].encode()), MESSAGE_LIMIT)
