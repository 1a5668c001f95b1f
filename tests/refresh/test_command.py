"""`container-image refresh` against the refresh stack's definition."""

import json
import tempfile
import unittest
from pathlib import Path

from images import ECR
from stack import Stack
from world import PROGRAMS, World

IMAGES = ["docker.io/acme/one:1.0", "ghcr.io/acme/two:1.0"]
MISSING = "docker.io/acme/missing:1.0"


class Command(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.world = cls.enterClassContext(World())
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.stack = Stack(cls.world.cloud)
        cls.machine = cls.stack.machine("image-refresh")
        cls.stack.describe("image-refresh", cls.machine)
        for seed, reference in enumerate(IMAGES):
            cls.world.run("image", reference=reference, seed=seed)
        cls.world.run("repositories", names=[f"mirror/acme/{name}" for name in ["one", "two", "missing"]])

    def refresh(self, *arguments: str | Path):
        return self.world.cloud.run(PROGRAMS / "container-image", "refresh", *arguments)

    def write_list(self, *references: str) -> Path:
        path = self.folder / "images.txt"
        path.write_text("".join(f"{reference}\n" for reference in references))
        return path

    def test_uploads_a_list_and_prints_the_report_of_its_run(self):
        done = self.refresh("--list", self.write_list(*IMAGES, MISSING))
        self.assertEqual(done.returncode, 1, done.stderr)
        for text in ["acme/one:1.0", "acme/two:1.0", MISSING, "could not be read: Docker Hub returned 401"]:
            self.assertIn(text, done.stdout + done.stderr)

        done = self.refresh("--list", self.write_list(*IMAGES), "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        name = report["Execution"].rsplit(":", 1)[1]
        self.assertEqual(report, self.stack.read(f"runs/{name}/report.json"))
        changes = {image["ImageReference"]: image["Change"] for image in report["Images"]}
        self.assertEqual(changes, {f"{ECR}/mirror/acme/{image}:1.0": "unchanged" for image in ["one", "two"]})

    def test_an_invalid_list_starts_nothing(self):
        before = self.machine.executions()
        done = self.refresh("--list", self.write_list("nginx:1.27:3"))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("images.txt:1: ", done.stderr)
        self.assertEqual(self.machine.executions(), before)
