"""Names in templates, samples and docs exist in the code, and the other way round.

The tests read the code as text. They depend on the form of some constants and fields.
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

# Variables that Lambda sets or that every program on Linux reads. They are not settings of the provider.
NOT_SETTINGS = {"AWS_REGION", "AWS_LAMBDA_LOG_LEVEL", "RUST_LOG"}
# The HTTP clients read these variables, not the provider's own code.
CLIENT_VARIABLES = {"HTTPS_PROXY", "NO_PROXY"}


def rust_source(folder, without=()) -> str:
    """Returns the source of a crate, without tests and without these modules."""
    texts = []
    for path in sorted(folder.rglob("*.rs")):
        if "tests" not in path.parts and path.stem not in ("tests", "testing", *without):
            texts.append(path.read_text().split("#[cfg(test)]\nmod tests {")[0])
    return "\n".join(texts)


def properties() -> set[str]:
    """Returns the properties that the provider accepts."""
    text = (CRATES / "image-copy-aws" / "src" / "properties.rs").read_text()
    names = re.search(r"const PROPERTY_NAMES: \[&str; \d+\] =\s*\[(.*?)\];", text, re.S)[1]
    return set(re.findall(r'"(\w+)"', names))


def attributes() -> set[str]:
    """Returns the attributes in the provider's response."""
    text = (SOURCE / "respond" / "response.rs").read_text()
    fields = re.search(r"pub\(crate\) struct Attributes \{(.*?)\n\}", text, re.S)[1]
    return {"".join(part.title() for part in name.split("_")) for name in re.findall(r"pub\(crate\) (\w+):", fields)}


def settings() -> set[str]:
    """Returns the environment variables that the provider reads as settings."""
    folders = (SOURCE / "settings", CRATES / "image-copy-aws" / "src" / "copy_settings")
    names = set(re.findall(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"', "".join(map(rust_source, folders))))
    return names - NOT_SETTINGS


def images(template: dict) -> dict:
    """Returns the resources of type Custom::ContainerImage."""
    return {name: item for name, item in template["Resources"].items() if item["Type"] == TYPE}


def used_attributes(node, names: set[str]) -> set[str]:
    """Returns the attributes of the resources `names` that a template uses."""
    found = set()
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "Fn::GetAtt" and value[0] in names:
                found.add(value[1])
            elif key == "Fn::Sub":
                text = value[0] if isinstance(value, list) else value
                found |= {attribute for name, attribute in re.findall(r"\$\{(\w+)\.(\w+)\}", text) if name in names}
            found |= used_attributes(value, names)
    elif isinstance(node, list):
        for item in node:
            found |= used_attributes(item, names)
    return found


def first_column(path, heading: str) -> set[str]:
    """Returns the names in backquotes in the first columns of the tables under a heading."""
    return column(path, heading, 1)


def column(path, heading: str, number: int) -> set[str]:
    """Returns the names in backquotes in one column, counted from 1, of the tables under a heading."""
    text = path.read_text()
    level, rest = re.search(rf"^(#+) {re.escape(heading)}\n(.*)", text, re.M | re.S).groups()
    section = re.split(rf"(?m)^#{{1,{len(level)}}} ", rest)[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| ") and "---" not in line]
    return {name for row in rows if len(row) > number for name in re.findall(r"`([^`]+)`", row[number])}


class Names(unittest.TestCase):
    def test_samples_use_all_properties_and_attributes_and_no_others(self):
        used, attributes_used = set(), set()
        for path in SAMPLES:
            template = load(path)
            for image in images(template).values():
                used |= image["Properties"].keys()
            attributes_used |= used_attributes(template, set(images(template)))
        self.assertEqual(used, properties())
        self.assertEqual(attributes_used, attributes())

    def test_samples_have_a_platform_and_the_default_function_name(self):
        name = load(PROVIDER)["Parameters"]["FunctionName"]["Default"]
        for path in SAMPLES:
            for logical_id, image in images(load(path)).items():
                with self.subTest(path.name, resource=logical_id):
                    self.assertIn("Platform", image["Properties"])
                    token = Evaluation({"Resources": {}}).value(image["Properties"]["ServiceToken"])
                    self.assertEqual(token, f"arn:aws:lambda:eu-west-1:123456789012:function:{name}")

    def test_a_sample_describes_its_use_and_can_be_deleted(self):
        for path in SAMPLES:
            with self.subTest(path.name):
                self.assertTrue(path.read_text().startswith("# Use this sample "))
                for resource in load(path)["Resources"].values():
                    if resource["Type"] == "AWS::ECR::Repository":
                        is_kept = resource.get("DeletionPolicy") == "RetainExceptOnCreate"
                        self.assertTrue(is_kept or resource["Properties"].get("EmptyOnDelete"))

    def test_the_reference_has_every_property_attribute_and_setting(self):
        reference = DOCS / "reference.md"
        self.assertEqual(first_column(reference, "Properties"), properties())
        self.assertEqual(first_column(reference, "Attributes"), attributes())
        variables = column(reference, "Copies", 2) | column(reference, "Network", 2)
        self.assertEqual(variables, settings() | CLIENT_VARIABLES)

    def test_the_reference_has_every_parameter_of_the_template(self):
        text = (DOCS / "reference.md").read_text()
        for name in load(PROVIDER)["Parameters"]:
            self.assertIn(f"`{name}`", text)

    def test_the_readme_has_every_property_and_attribute(self):
        self.assertEqual(first_column(README, "Properties") | {"ServiceToken", "ServiceTimeout"}, properties())
        self.assertEqual(first_column(README, "Outputs"), attributes())

    def test_the_template_sets_all_settings_and_no_others(self):
        evaluation = Evaluation(
            load(PROVIDER),
            {"CodeBucketPrefix": "a", "CodeKeyPrefix": "a", "HttpsProxy": "http://a", "NoProxy": "b"},
        )
        variables = evaluation.resources()["CFNCustomProvider"]["Properties"]["Environment"]["Variables"]
        self.assertEqual(variables.keys(), settings() | CLIENT_VARIABLES)

    def test_templates_in_the_docs_use_existing_properties(self):
        for path in [README, *DOCS.glob("*.md")]:
            for block in re.findall(r"```yaml\n(.*?)```", path.read_text(), re.S):
                if TYPE not in block:
                    continue
                used = re.findall(r"^      (\w+):", block.split(TYPE, 1)[1].split("\nOutputs:")[0], re.M)
                self.assertLessEqual(set(used), properties(), path.name)

    def test_files_and_items_in_the_architecture_exist(self):
        source = "".join(map(rust_source, CRATES.glob("*/src")))
        names = re.findall(r"`([\w:/.]+)`", (ROOT / "ARCHITECTURE.md").read_text())
        files = [name for name in names if name.endswith(".rs")]
        items = [name.rsplit("::")[-1] for name in names if re.fullmatch(r"(\w+::)*[A-Z]\w+|\w+(::\w+)+", name)]
        self.assertGreater(min(len(files), len(items)), 10)
        for name in files:
            self.assertTrue(list(CRATES.glob(f"*/src/**/{name}")), name)
        for name in items:
            self.assertRegex(source, rf"\b(struct|enum|trait|fn) {name}\b")

    def test_messages_of_the_log_exist_in_the_code(self):
        source = "".join(map(rust_source, CRATES.glob("*/src")))
        messages = column(DOCS / "operations.md", "Other lines worth an alarm or a search", 1)
        self.assertEqual({message for message in messages if f'"{message}"' not in source}, set())
        self.assertGreater(len(messages), 1)

    def test_the_page_of_the_command_line_has_every_option(self):
        snapshots = (CRATES / "container-image" / "tests" / "snapshots").glob("terminal__help-*.snap")
        help_text = re.sub(r"<ESC>\[\d+m", "", "".join(path.read_text() for path in snapshots))
        options = set(re.findall(r"(?m)^ +(?:-\w, )?(--[a-z-]+)", help_text)) - {"--help"}
        page = (DOCS / "cli.md").read_text()
        rows = "\n".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| "))
        self.assertEqual(options - set(re.findall(r"--[a-z-]+", page)), set())
        self.assertEqual(set(re.findall(r"--[a-z-]+", rows)) - options, set())

    def test_the_command_line_knows_the_attributes(self):
        text = (CRATES / "container-image" / "src" / "template" / "resources.rs").read_text()
        names = re.search(r"const IMAGE_ATTRIBUTES: \[&str; \d+\] = \[(.*?)\];", text, re.S)[1]
        self.assertEqual(set(re.findall(r'"(\w+)"', names)), attributes())

    def test_metrics_read_documented_fields_of_the_last_log_line(self):
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
        """Reads the documented messages and the provider's reasons, both by code."""
        text = (DOCS / "troubleshooting.md").read_text()
        sections = re.split(r"(?m)^### (CI-\d{3})$", text)
        self.headings, bodies = sections[1::2], sections[2::2]
        self.documented = dict(zip(self.headings, (re.findall(r"(?m)^- `(.+)`$", body) for body in bodies)))
        self.reasons = {}
        for line in (SOURCE / "respond" / "reason" / "reasons.txt").read_text().splitlines():
            self.reasons.setdefault(re.search(r" \((CI-\d{3}), request \S+\)$", line)[1], []).append(line)

    def test_every_code_has_one_heading_and_every_heading_a_reason(self):
        engine = CRATES / "image-copy" / "src" / "copy" / "reporting" / "code.rs"
        secrets = [CRATES / "image-copy-aws" / "src" / name for name in ("secrets.rs", "registry_secret.rs")]
        files = (engine, *secrets, SOURCE / "respond" / "reason" / "code.rs")
        codes = {code for path in files for code in re.findall(r'"(CI-\d{3})"', path.read_text())}
        plan = (CRATES / "container-image" / "src" / "commands" / "plan").glob("*.rs")
        plan_codes = {code for path in plan for code in re.findall(r'"(CI-\d{3})"', path.read_text())}
        self.assertGreater(len(plan_codes - codes), 2)
        self.assertEqual(self.headings, sorted(codes | plan_codes))
        self.assertEqual(sorted(self.reasons), sorted(codes))

    def test_the_example_in_operations_is_a_reason(self):
        example = (DOCS / "operations.md").read_text().split("```text\n")[1].split("```")[0]
        self.assertIn(" ".join(example.split()), self.reasons["CI-004"])

    def test_the_documented_messages_are_those_of_the_reasons(self):
        for code, reasons in self.reasons.items():
            patterns = [".*".join(map(re.escape, message.split("…"))) for message in self.documented[code]]
            for reason in reasons:
                with self.subTest(reason):
                    self.assertTrue(any(re.match(pattern, reason) for pattern in patterns))
            for pattern in patterns:
                with self.subTest(code, pattern=pattern):
                    self.assertTrue(any(re.match(pattern, reason) for reason in reasons))


if __name__ == "__main__":
    unittest.main()
