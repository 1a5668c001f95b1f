"""The export of the templates is complete."""

import re
import unittest

from export import export
from template import SAMPLES


class Export(unittest.TestCase):
    def test_images_of_all_samples_are_exported_without_functions(self):
        samples = export()["samples"]
        self.assertLessEqual({"demo", "base-images", "cross-account", "codebuild-project"}, samples.keys())
        for name, resources in samples.items():
            arns = {resource["Arn"] for resource in resources.values() if "Arn" in resource}
            for logical_id, resource in resources.items():
                if resource["Type"] != "Custom::ContainerImage":
                    continue
                with self.subTest(name, resource=logical_id):
                    self.assertIn(resource["Properties"]["RepositoryArn"], arns)
                    self.assertNotRegex(str(resource), "<|Fn::")

    def test_every_sample_with_an_image_is_exported(self):
        with_images = {path.stem for path in SAMPLES if re.search(r"^#? +Type: Custom::", path.read_text(), re.M)}
        self.assertEqual(export()["samples"].keys(), with_images)

    def test_a_repository_is_in_the_account_of_its_deployment(self):
        resources = export()["samples"]["cross-account"]
        arn = "arn:aws:ecr:eu-west-1:222222222222:repository/nginx"
        self.assertEqual(resources["Repository"]["Arn"], arn)
        self.assertEqual(resources["Image"]["Properties"]["RepositoryArn"], arn)

    def test_the_environment_contains_strings(self):
        environment = export()["environment"]
        self.assertEqual(environment["DEFAULT_PLATFORM"], "linux/amd64")
        self.assertEqual(environment["STATE_TABLE"], "cfn-container-image-provider-state")
        for name, value in environment.items():
            self.assertIsInstance(value, str, name)


if __name__ == "__main__":
    unittest.main()
