"""What templates, samples and docs name is in the code, and the other way round.

The code is read as text: constants and fields whose form the tests below hold to.
"""

import json
import re
import unittest

from template import PROVIDER, ROOT, SAMPLES, Evaluation, load

CRATES = ROOT / "crates"
SOURCE = CRATES / "cfn-container-image-provider" / "src"
DOCS = ROOT / "docs"
README = ROOT / "README.md"
TYPE = "Custom::ContainerImage"

# Variables that Lambda sets, or every program on Linux reads: nobody finds them in settings.
LAMBDAS_OWN = {"AWS_REGION", "AWS_LAMBDA_LOG_LEVEL", "RUST_LOG"}
# Read by the HTTP clients, not by the provider's own code.
CLIENTS_OWN = {"HTTPS_PROXY", "NO_PROXY"}


def rust(folder) -> str:
    """A crate's source, without tests."""
    texts = []
    for path in sorted(folder.rglob("*.rs")):
        if "tests" not in path.parts and path.stem not in ("tests", "testing"):
            texts.append(path.read_text().split("#[cfg(test)]\nmod tests {")[0])
    return "\n".join(texts)


def properties() -> set[str]:
    """The properties that the provider knows."""
    text = (SOURCE / "input" / "properties.rs").read_text()
    names = re.search(r"const PROPERTY_NAMES: \[&str; \d+\] =\s*\[(.*?)\];", text, re.S)[1]
    return set(re.findall(r'"(\w+)"', names))


def attributes() -> set[str]:
    """The attributes that it answers."""
    text = (SOURCE / "respond" / "response.rs").read_text()
    fields = re.search(r"pub\(crate\) struct Attributes \{(.*?)\n\}", text, re.S)[1]
    return {"".join(part.title() for part in name.split("_")) for name in re.findall(r"pub\(crate\) (\w+):", fields)}


def settings() -> set[str]:
    """The variables that it reads, of the installer's."""
    names = set(re.findall(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"', rust(SOURCE / "settings")))
    return names - LAMBDAS_OWN


def images(template: dict) -> dict:
    """The resources of our type."""
    return {name: item for name, item in template["Resources"].items() if item["Type"] == TYPE}


def asked(node, names: set[str]) -> set[str]:
    """The attributes of the resources `names` that a template asks for."""
    found = set()
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "Fn::GetAtt" and value[0] in names:
                found.add(value[1])
            elif key == "Fn::Sub":
                text = value[0] if isinstance(value, list) else value
                found |= {attribute for name, attribute in re.findall(r"\$\{(\w+)\.(\w+)\}", text) if name in names}
            found |= asked(value, names)
    elif isinstance(node, list):
        for item in node:
            found |= asked(item, names)
    return found


def first_column(path, heading: str) -> set[str]:
    """Names in backquotes in the first columns of the tables under a heading."""
    return column(path, heading, 1)


def column(path, heading: str, number: int) -> set[str]:
    text = path.read_text()
    level, rest = re.search(rf"^(#+) {re.escape(heading)}\n(.*)", text, re.M | re.S).groups()
    section = re.split(rf"(?m)^#{{1,{len(level)}}} ", rest)[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| ") and "---" not in line]
    return {name for row in rows if len(row) > number for name in re.findall(r"`([^`]+)`", row[number])}


class Names(unittest.TestCase):
    def test_samples_use_properties_and_attributes_that_exist_and_all_of_them(self):
        used, wanted = set(), set()
        for path in SAMPLES:
            template = load(path)
            for image in images(template).values():
                used |= image["Properties"].keys()
            wanted |= asked(template, set(images(template)))
        self.assertEqual(used, properties())
        self.assertEqual(wanted, attributes())

    def test_samples_name_their_platform_and_the_provider_as_it_is_installed(self):
        name = load(PROVIDER)["Parameters"]["FunctionName"]["Default"]
        for path in SAMPLES:
            for logical_id, image in images(load(path)).items():
                with self.subTest(path.name, resource=logical_id):
                    self.assertIn("Platform", image["Properties"])
                    token = Evaluation({"Resources": {}}).value(image["Properties"]["ServiceToken"])
                    self.assertEqual(token, f"arn:aws:lambda:eu-west-1:123456789012:function:{name}")

    def test_a_sample_says_when_to_use_it_and_can_be_deleted(self):
        for path in SAMPLES:
            with self.subTest(path.name):
                self.assertTrue(path.read_text().startswith("# When to use it: "))
                for resource in load(path)["Resources"].values():
                    if resource["Type"] == "AWS::ECR::Repository":
                        is_kept = resource.get("DeletionPolicy") == "RetainExceptOnCreate"
                        self.assertTrue(is_kept or resource["Properties"].get("EmptyOnDelete"))

    def test_the_reference_has_every_property_attribute_and_setting(self):
        reference = DOCS / "reference.md"
        self.assertEqual(first_column(reference, "Properties"), properties())
        self.assertEqual(first_column(reference, "Attributes"), attributes())
        variables = column(reference, "Copies", 2) | column(reference, "Network", 2)
        self.assertEqual(variables, settings() | CLIENTS_OWN)

    def test_the_reference_has_every_parameter_of_the_template(self):
        text = (DOCS / "reference.md").read_text()
        for name in load(PROVIDER)["Parameters"]:
            self.assertIn(f"`{name}`", text)

    def test_the_readme_has_what_the_reference_has(self):
        self.assertEqual(first_column(README, "Properties") | {"ServiceToken", "ServiceTimeout"}, properties())
        self.assertEqual(first_column(README, "Outputs"), attributes())

    def test_the_template_sets_every_setting_and_no_other(self):
        given = Evaluation(
            load(PROVIDER),
            {"CodeBucketPrefix": "a", "CodeKeyPrefix": "a", "HttpsProxy": "http://a", "NoProxy": "b"},
        )
        variables = given.resources()["CFNCustomProvider"]["Properties"]["Environment"]["Variables"]
        self.assertEqual(variables.keys(), settings() | CLIENTS_OWN)

    def test_templates_in_the_docs_use_what_exists(self):
        for path in [README, *DOCS.glob("*.md")]:
            for block in re.findall(r"```yaml\n(.*?)```", path.read_text(), re.S):
                if TYPE not in block:
                    continue
                used = re.findall(r"^      (\w+):", block.split(TYPE, 1)[1].split("\nOutputs:")[0], re.M)
                self.assertLessEqual(set(used), properties(), path.name)

    def test_metrics_read_fields_that_the_last_line_has_and_operations_lists(self):
        line = (SOURCE / "logging" / "summary.rs").read_text()
        documented = first_column(DOCS / "operations.md", "The log")
        for name, resource in load(PROVIDER)["Resources"].items():
            if resource["Type"] not in ("AWS::Logs::MetricFilter", "AWS::Logs::QueryDefinition"):
                continue
            text = json.dumps(resource["Properties"])
            for field in set(re.findall(r"\$\.(\w+)|\((source\w*|seconds|bytes\w*|outcome)\b", text)):
                field = field[0] or field[1]
                with self.subTest(name, field=field):
                    self.assertRegex(line, rf"\b{field}\b")
                    self.assertIn(field, documented)


class Errors(unittest.TestCase):
    def setUp(self):
        self.phrases = first_column(DOCS / "troubleshooting.md", "Errors")
        self.reasons = (SOURCE / "respond" / "reason" / "reasons.txt").read_text()

    def test_every_reason_is_explained(self):
        for line in self.reasons.splitlines():
            with self.subTest(line):
                self.assertTrue(any(phrase in line for phrase in self.phrases))

    def test_every_explanation_is_of_a_reason(self):
        source = self.reasons + re.sub(r'\\"', '"', "".join(map(rust, CRATES.glob("*/src"))))
        for phrase in self.phrases:
            with self.subTest(phrase):
                self.assertIn(phrase.strip(), source)


if __name__ == "__main__":
    unittest.main()
