"""The workflow in samples/github-actions, and its summary of the JSON document of `sync`."""

import json
import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml

from template import ROOT

WORKFLOW = ROOT / "samples" / "github-actions" / "sync-images.yaml"
SUMMARY = {"images": 3, "new": 1, "moved": 0, "unchanged": 1, "failed": 1, "pulls": 3}
NEW = {"source": "docker.io/library/nginx:1.27", "status": "new", "digest": "sha256:4d7f"}
UNCHANGED = {"source": "ghcr.io/acme/app:1", "status": "unchanged", "digest": "sha256:5c8d"}
FAILED = {
    "source": "ghcr.io/acme/gone:1", "status": "failed", "path": "images.txt", "line": 3,
    "message": "Image ghcr.io/acme/gone:1 was not found: 100% gone.", "code": "CI-001",
}


class Workflow(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["sync"]["steps"]
        self.scripts = {step["name"]: step["run"] for step in steps if "run" in step}

    def printed(self, result: str) -> tuple[str, str]:
        """Runs the last step. Returns its output and the summary of the run."""
        (self.folder / "result.json").write_text(result)
        summary = self.folder / "summary.md"
        command = ["bash", "-e", "-o", "pipefail", "-c", self.scripts["Print the result"]]
        done = subprocess.run(
            command, cwd=self.folder, env={"PATH": "/usr/bin:/bin", "GITHUB_STEP_SUMMARY": str(summary)},
            capture_output=True, text=True,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout, summary.read_text()

    def test_github_accepts_the_workflow(self):
        command = ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(WORKFLOW)]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        broken = self.folder / "broken.yaml"
        broken.write_text(WORKFLOW.read_text().replace("runs-on:", "run-on:"))
        self.assertNotEqual(subprocess.run([*command[:-1], str(broken)], capture_output=True).returncode, 0)

    def test_shellcheck_accepts_the_steps(self):
        self.assertEqual(len(self.scripts), 3)
        for name, script in self.scripts.items():
            command = ["shellcheck", "--shell=bash", "-"]
            done = subprocess.run(command, input=script, capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stdout), (0, ""), name)

    def test_the_summary_lists_changes_and_failures(self):
        output, summary = self.printed(json.dumps({"images": [NEW, UNCHANGED, FAILED], "summary": SUMMARY}))
        # https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
        annotation = "::error file=images.txt,line=3::Image ghcr.io/acme/gone:1 was not found: 100%25 gone. (CI-001)\n"
        self.assertTrue(output.startswith(annotation), output)
        self.assertEqual(
            summary,
            "3 images: 1 new, 0 moved, 1 unchanged, 1 failed; 3 pulls of Docker Hub\n\n"
            "| image | result | digest |\n|---|---|---|\n"
            "| docker.io/library/nginx:1.27 | new | sha256:4d7f |\n| ghcr.io/acme/gone:1 | failed | CI-001 |\n",
        )

    def test_the_summary_of_a_night_without_changes_is_one_line(self):
        counts = {**SUMMARY, "images": 1, "new": 0, "failed": 0, "pulls": 0}
        output, summary = self.printed(json.dumps({"images": [UNCHANGED], "summary": counts}))
        self.assertEqual(summary, "1 images: 0 new, 0 moved, 1 unchanged, 0 failed; 0 pulls of Docker Hub\n")
        self.assertEqual(output, summary)

    def test_an_invalid_list_has_no_summary(self):
        self.assertEqual(self.printed(""), ("", ""))


if __name__ == "__main__":
    unittest.main()
