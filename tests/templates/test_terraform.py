"""The Terraform modules and examples: names, arguments and outputs. Terraform itself is not needed."""

import re
import unittest
from pathlib import Path

import hcl2

from template import PROVIDER, load
from test_names import DOCS, attributes, properties

TERRAFORM = DOCS.parent / "terraform"
MODULES = {path.name: path for path in sorted((TERRAFORM / "modules").iterdir())}
EXAMPLES = sorted((TERRAFORM / "examples").iterdir())
# Arguments of a module block that Terraform itself reads.
META_ARGUMENTS = {"source", "for_each", "count", "depends_on", "providers", "version"}


def text_of(folder: Path) -> str:
    """Returns all files of a module, without comments."""
    texts = (path.read_text() for path in sorted(folder.glob("*.tf")))
    return re.sub(r"(?m)^\s*#.*$", "", "\n".join(texts))


def unquoted(text: str) -> str:
    return text.strip('"')


def blocks(folder: Path, kind: str) -> dict:
    """Returns the blocks of a kind by name. Resources have the name `type.name`."""
    found = {}
    for block in hcl2.loads(text_of(folder)).get(kind, []):
        for name, body in block.items():
            name = unquoted(name)
            if kind in ("resource", "data"):
                found |= {f"{name}.{unquoted(inner)}": value for inner, value in body.items()}
            elif not name.startswith("__"):
                found[name] = body
    return found


def required(folder: Path) -> set:
    """Returns the variables without a default."""
    return {name for name, body in blocks(folder, "variable").items() if "default" not in body}


def references(folder: Path, prefix: str) -> set:
    return set(re.findall(rf"(?<![\w.]){prefix}\.(\w+)", text_of(folder)))


def result_fields() -> set:
    """Returns the documented fields of a direct event's result."""
    section = (DOCS / "direct.md").read_text().split("## Result")[1].split("\n## ")[0]
    return attributes() | set(re.findall(r"`([A-Z]\w+)`", section))


class Modules(unittest.TestCase):
    def test_every_reference_exists_and_every_variable_is_used(self):
        for folder in [*MODULES.values(), *EXAMPLES]:
            with self.subTest(folder=folder.name):
                variables = blocks(folder, "variable")
                self.assertEqual(references(folder, "var"), set(variables))
                self.assertLessEqual(references(folder, "local"), set(blocks(folder, "locals")))
                self.assertEqual(references(folder, "module"), set(blocks(folder, "module")))
                resources = re.findall(r"(?<![\w.\"])((?:aws|terraform)_\w+\.\w+)", text_of(folder))
                self.assertLessEqual(set(resources), set(blocks(folder, "resource")))

    def test_variables_and_outputs_have_descriptions(self):
        for folder in MODULES.values():
            for kind in ("variable", "output"):
                found = blocks(folder, kind)
                self.assertTrue(found)
                for name, body in found.items():
                    self.assertTrue(unquoted(body.get("description", "")), f"{folder.name}: {name}")

    def test_examples_pass_existing_arguments_and_read_existing_outputs(self):
        for example in EXAMPLES:
            for name, body in blocks(example, "module").items():
                with self.subTest(example=example.name, module=name):
                    folder = (example / unquoted(body["source"])).resolve()
                    self.assertIn(folder, MODULES.values())
                    given = {key for key in body if not key.startswith("__")} - META_ARGUMENTS
                    self.assertLessEqual(given, set(blocks(folder, "variable")))
                    self.assertLessEqual(required(folder), given)
                    used = set(re.findall(rf"module\.{name}(?:\[[^]]*\])?\.(\w+)", text_of(example)))
                    self.assertLessEqual(used, set(blocks(folder, "output")))

    def test_the_event_has_properties_of_the_resource(self):
        text = text_of(MODULES["container-image"])
        body = re.search(r"input = jsonencode\((.*?)\n  \)\)", text, re.S)[1]
        optional = re.search(r"optional = \{(.*?)\n  \}", text, re.S)[1]
        names = set(re.findall(r"(\w+)\s+= ", body + optional))
        self.assertEqual(names, properties() - {"ServiceToken", "ServiceTimeout"} | {"Owner"})

    def test_outputs_are_fields_of_the_result(self):
        text = text_of(MODULES["container-image"])
        fields = set(re.findall(r"local\.result\.(\w+)", text))
        self.assertGreater(len(fields), 8)
        self.assertLessEqual(fields, result_fields())

    def test_the_provider_module_matches_the_template(self):
        template = load(PROVIDER)
        text = text_of(MODULES["provider"])
        self.assertLessEqual(set(re.findall(r'outputs\["(\w+)"\]', text)), set(template["Outputs"]))
        default = template["Parameters"]["FunctionName"]["Default"]
        for folder in MODULES.values():
            self.assertEqual(blocks(folder, "variable")["function_name"]["default"].strip('"'), default)
        for example in EXAMPLES:
            for name, body in blocks(example, "module").items():
                parameters = {key for key in body.get("parameters", {}) if not key.startswith("__")}
                self.assertLessEqual(parameters, set(template["Parameters"]), f"{example.name}: {name}")


if __name__ == "__main__":
    unittest.main()
