"""What other programs are given of the templates is whole."""

import unittest

from export import export


class Export(unittest.TestCase):
    def test_images_of_all_samples_are_there_without_functions(self):
        samples = export()["samples"]
        self.assertLessEqual({"demo", "base-images", "cross-account", "codebuild-project"}, samples.keys())
        for name, images in samples.items():
            for logical_id, properties in images.items():
                with self.subTest(name, resource=logical_id):
                    arn = r"^arn:aws:ecr:eu-west-1:\d{12}:repository/[a-z/-]+$"
                    self.assertRegex(properties["RepositoryArn"], arn)
                    self.assertNotRegex(str(properties), "<|Fn::")

    def test_the_environment_is_text(self):
        environment = export()["environment"]
        self.assertEqual(environment["DEFAULT_PLATFORM"], "linux/amd64")
        for name, value in environment.items():
            self.assertIsInstance(value, str, name)


if __name__ == "__main__":
    unittest.main()
