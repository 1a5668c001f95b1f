"""The script in docs/shell.md has the result and the limits that the page describes."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from cloud import Cloud
from test_commands import commands

# Writes its arguments to a file, and fails for one image.
DOCKER = """#!/bin/sh
echo "$*" >>docker.log
[ "$*" != "pull $BROKEN" ]
"""


class Script(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cloud = cls.enterClassContext(Cloud())
        cls.script = commands("shell.md", "The script")

    def setUp(self):
        self.cloud.reset()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.folder / "docker").write_text(DOCKER)
        (self.folder / "docker").chmod(0o755)

    def copy(self, *images: str, broken: str = "") -> int:
        (self.folder / "images.txt").write_text("".join(f"{image}\n" for image in images))
        path = f"{self.folder}:{os.environ['PATH']}"
        done = self.cloud.run("bash", "-c", f'cd "{self.folder}"\n{self.script}', PATH=path, BROKEN=broken)
        return done.returncode

    def pushed(self) -> list[str]:
        lines = (self.folder / "docker.log").read_text().splitlines()
        return [line.split("/", 1)[1] for line in lines if line.startswith("push ")]

    def test_the_repositories_have_default_settings_and_the_last_component_as_their_name(self):
        listed = commands("shell.md", "The list", language="text").split()
        self.assertIn("quay.io/prometheus/prometheus:v3.1.0", listed)
        self.assertEqual(self.copy("alpine:3.22", "quay.io/prometheus/prometheus:v3.1.0"), 0)
        self.assertEqual(self.pushed(), ["mirror/alpine:3.22", "mirror/prometheus:v3.1.0"])
        repositories = self.cloud.client("ecr").describe_repositories()["repositories"]
        self.assertEqual({item["repositoryName"] for item in repositories}, {"mirror/alpine", "mirror/prometheus"})
        for item in repositories:
            self.assertEqual(item["imageTagMutability"], "MUTABLE")
            self.assertFalse(item["imageScanningConfiguration"]["scanOnPush"])

    def test_it_stops_at_the_first_failure(self):
        self.assertNotEqual(self.copy("alpine:3.22", "gone:1", "redis:7.4", broken="gone:1"), 0)
        self.assertEqual(self.pushed(), ["mirror/alpine:3.22"])

    def test_without_set_e_it_hides_a_failure(self):
        self.script = self.script.replace("set -eu\n", "set -u\n")
        self.assertEqual(self.copy("gone:1", "redis:7.4", broken="gone:1"), 0)

    def test_two_images_of_one_name_replace_each_other(self):
        self.assertEqual(self.copy("redis:7.4", "bitnami/redis:7.4"), 0)
        self.assertEqual(self.pushed(), ["mirror/redis:7.4"] * 2)

    def test_shellcheck_accepts_it(self):
        done = subprocess.run(["shellcheck", "-"], input=self.script, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))


if __name__ == "__main__":
    unittest.main()
