"""Reads changed files with the parsers that charts, Kustomize and programs use, not with our own."""

import json
import unittest
from pathlib import Path

import yaml

FOLDER = Path(__file__).resolve().parents[2] / "crates/container-image/tests/fixtures/structures"
DIGEST = "sha256:" + "d" * 64


def load(name):
    text = (FOLDER / name).read_text()
    return json.loads(text) if name.endswith(".json") else yaml.safe_load(text)


def images(value):
    """Returns the references that a chart or Kustomize makes of the values, by their path."""
    found = {}

    def add(path, name, tag, digest):
        if tag or digest:
            found[path] = name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")

    def visit(path, node):
        if isinstance(node, list):
            for index, item in enumerate(node):
                visit(f"{path}.{index}", item)
        elif isinstance(node, dict):
            if "repository" in node:
                registry = f"{node['registry']}/" if node.get("registry") else ""
                add(path, registry + node["repository"], node.get("tag"), node.get("digest"))
            elif path.startswith(".images."):
                add(path, node.get("newName", node["name"]), node.get("newTag"), node.get("digest"))
            elif "imageTag" in node:
                add(path, node["image"], node["imageTag"], None)
            else:
                for key, item in node.items():
                    visit(f"{path}.{key}", item)
        elif path.endswith(".image"):
            found[path] = node

    visit("", value)
    return found


class ChangedFiles(unittest.TestCase):
    def test_pinned_files_have_the_digest(self):
        for name in ("values.yaml", "kustomization.yaml", "values.json"):
            before, after = images(load(name)), images(load(f"pinned-{name}"))
            expected = {path: f"{image.partition('@')[0]}@{DIGEST}" for path, image in before.items()}
            self.assertEqual(after, expected, name)
            self.assertGreaterEqual(len(after), 4)

    def test_tags_are_strings(self):
        for name in ("values.yaml", "kustomization.yaml", "values.json"):
            before, after = images(load(name)), images(load(f"tagged-{name}"))

            def name_of(image):
                name = image.partition("@")[0]
                return name[: name.rindex(":")] if ":" in name.rpartition("/")[2] else name

            self.assertEqual(after, {path: f"{name_of(image)}:1.30" for path, image in before.items()}, name)


if __name__ == "__main__":
    unittest.main()
