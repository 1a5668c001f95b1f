"""The snippets for CDK and SAM in docs/faq.md use names that exist."""

import ast
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

import yaml

from template import PROVIDER, Evaluation, Loader, load
from test_commands import commands
from test_names import TYPE, attributes, images, properties, used_attributes

CDK = "How do I use it in a CDK app?"
SAM = "How do I use it in a SAM template?"


def function_name() -> str:
    """Returns the name of the function in a default installation."""
    return load(PROVIDER)["Parameters"]["FunctionName"]["Default"]


def keyword(call: ast.Call, name: str) -> ast.expr:
    """Returns the value of a keyword argument."""
    return next(item.value for item in call.keywords if item.arg == name)


class Snippets(unittest.TestCase):
    def test_the_python_snippet_uses_existing_names(self):
        tree = ast.parse(commands("faq.md", CDK, language="python"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        named = {ast.unparse(call.func).rsplit(".", 1)[-1]: call for call in calls}
        resource = named["CustomResource"]
        self.assertEqual(keyword(resource, "resource_type").value, TYPE)
        values = keyword(resource, "properties")
        names = {key.value for key in values.keys}
        self.assertEqual(len(names), 3)
        self.assertLessEqual(names, properties())
        self.assertIn(named["get_att_string"].args[0].value, attributes())
        self.assertEqual(keyword(named["format_arn"], "resource_name").value, function_name())

    def test_the_typescript_snippet_uses_existing_names(self):
        text = commands("faq.md", CDK, language="typescript")
        self.assertEqual(re.search(r"resourceType: '([^']*)'", text)[1], TYPE)
        values = re.search(r"properties: \{(.*?)\n  \}", text, re.S)[1]
        names = re.findall(r"(\w+):", re.sub(r"'[^']*'", "", values))
        self.assertEqual(len(names), 3)
        self.assertLessEqual(set(names), properties())
        self.assertIn(re.search(r"getAttString\('(\w+)'\)", text)[1], attributes())
        self.assertEqual(re.search(r"resourceName: '([^']*)'", text)[1], function_name())

    def test_both_languages_set_the_same_properties(self):
        typescript, python = (commands("faq.md", CDK, language=language) for language in ("typescript", "python"))
        names = "|".join(properties())
        values = dict(re.findall(rf"\b({names}): '(\S+)'", typescript))
        self.assertGreater(len(values), 1)
        self.assertEqual(values, dict(re.findall(rf'"({names})": "(\S+)"', python)))

    def test_the_sam_snippet_uses_existing_names_and_passes_cfn_lint(self):
        text = commands("faq.md", SAM, language="yaml")
        template = yaml.load(text, Loader)
        found = images(template)
        self.assertEqual(len(found), 1)
        for image in found.values():
            self.assertLessEqual(image["Properties"].keys(), properties())
            token = Evaluation(template).value(image["Properties"]["ServiceToken"])
            self.assertEqual(token, f"arn:aws:lambda:eu-west-1:123456789012:function:{function_name()}")
        self.assertEqual(used_attributes(template, set(found)), {"ImageUri"})
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "template.yaml"
            path.write_text(text)
            command = ["cfn-lint", "--regions", "eu-west-1", "--", str(path)]
            done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""))


if __name__ == "__main__":
    unittest.main()
