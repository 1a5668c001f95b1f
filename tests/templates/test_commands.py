"""The commands of the docs that change an installation, run as they stand there."""

import json
import re
import unittest

from botocore.exceptions import ClientError

from template import ROOT
from test_stacks import NAME, Installation


def commands(page: str, heading: str, number: int = 0) -> str:
    """A block of shell commands under a heading."""
    text = (ROOT / "docs" / page).read_text()
    section = re.split(r"(?m)^#+ ", text.split(f"\n## {heading}\n", 1)[1])[0]
    return re.findall(r"```sh\n(.*?)```", section, re.S)[number]


class Commands(Installation):
    def setUp(self):
        super().setUp()
        self.create(self.publish(), LogRetention="90", DeleteImages="false")

    def shell(self, text: str):
        # In the folder of the packages, for they leave files behind.
        done = self.cloud.run("bash", "-euo", "pipefail", "-c", f'cd "{self.packages}"\n{text}')
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def given(self, text: str) -> dict:
        """What a command gives as parameters. The stand-in cannot update the stack, so it is not asked to."""
        self.shell(text.split("aws cloudformation update-stack")[0])
        given = json.loads((self.packages / "parameters.json").read_text())
        return {item.pop("ParameterKey"): item for item in given}

    def test_what_is_not_named_keeps_its_value(self):
        kept = {name: {"UsePreviousValue": True} for name in self.parameters()}
        changing = commands("installation.md", "Changing parameters")
        self.assertEqual(self.given(changing), {**kept, "DefaultPlatform": {"ParameterValue": "all"}})
        with self.assertRaisesRegex(AssertionError, "there is no parameter Misspelt"):
            self.given(changing.replace("name=DefaultPlatform", "name=Misspelt"))
        # The new template knows these two by itself.
        del kept["CodeBucketPrefix"], kept["CodeKeyPrefix"]
        self.assertEqual(self.given(commands("operations.md", "Upgrading", 1)), kept)
        self.assertIn("CodeKeyPrefix", self.shell(commands("operations.md", "Upgrading")))

    def test_who_uses_the_provider_is_listed_before_it_is_deleted(self):
        self.user("images", "Custom::ContainerImage", self.function()["FunctionArn"])
        text = self.shell(commands("operations.md", "Uninstalling", 2))
        self.assertEqual(text.split(), ["images", "Image"])
        self.assertEqual(self.stack()["StackStatus"], "CREATE_COMPLETE")
        self.shell(commands("operations.md", "Uninstalling", 3))
        with self.assertRaisesRegex(ClientError, "does not exist"):
            self.stack()


if __name__ == "__main__":
    unittest.main()
