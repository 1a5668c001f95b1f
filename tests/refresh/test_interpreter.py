"""The parts of a distributed map that `interpreter.py` supplies. A definition without a function runs them."""

import json
import unittest
from pathlib import Path

from cloud import Cloud
from stack import Machine

REGION = "eu-west-1"
BUCKET = "results"


def definition(tolerated: int) -> dict:
    """Returns a map over the object `items.json`, in which negative numbers fail."""
    return {
        "StartAt": "Items",
        "States": {
            "Items": {
                "Type": "Map",
                "Label": "Items",
                "MaxConcurrency": 3,
                "ToleratedFailurePercentage": tolerated,
                "ItemReader": {
                    "Resource": "arn:aws:states:::s3:getObject",
                    "ReaderConfig": {"InputType": "JSON"},
                    "Parameters": {"Bucket": BUCKET, "Key": "items.json"},
                },
                "ItemSelector": {"Number.$": "$$.Map.Item.Value", "Parent.$": "$$.Execution.Id"},
                "ItemProcessor": {
                    "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                    "StartAt": "IsNegative",
                    "States": {
                        "IsNegative": {
                            "Type": "Choice",
                            "Choices": [{"Variable": "$.Number", "NumericLessThan": 0, "Next": "Negative"}],
                            "Default": "Positive",
                        },
                        "Negative": {"Type": "Fail", "Error": "Negative", "Cause": "the number is negative"},
                        "Positive": {"Type": "Pass", "Parameters": {"Self.$": "$$.Execution.Id"}, "End": True},
                    },
                },
                "ResultWriter": {
                    "Resource": "arn:aws:states:::s3:putObject",
                    "Parameters": {"Bucket": BUCKET, "Prefix": "run"},
                },
                "End": True,
            },
        },
    }


class Interpreter(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        cls.cloud = cls.enterClassContext(Cloud(Path(__file__).with_name("server.py"), **credentials))
        cls.s3 = cls.cloud.client("s3")
        cls.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        numbers = [*range(1, 120), -1]
        cls.s3.put_object(Bucket=BUCKET, Key="items.json", Body=json.dumps(numbers))

    def read(self, key: str):
        return json.load(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"])

    def test_the_result_writer_writes_the_documented_files(self):
        machine = Machine(self.cloud, "results", definition(1))
        execution = machine.run("first")
        self.assertEqual(execution.status, "SUCCEEDED", execution)
        location = execution.output["ResultWriterDetails"]
        folder = execution.output["MapRunArn"].rsplit(":", 1)[1]
        self.assertEqual(location, {"Bucket": BUCKET, "Key": f"run/{folder}/manifest.json"})
        files = self.read(location["Key"])["ResultFiles"]
        self.assertEqual([len(files[status]) for status in ["SUCCEEDED", "FAILED", "PENDING"]], [3, 1, 0])
        (failed,) = self.read(files["FAILED"][0]["Key"])
        self.assertEqual((failed["Error"], failed["Cause"]), ("Negative", "the number is negative"))
        self.assertEqual(json.loads(failed["Input"]), {"Number": -1, "Parent": execution.arn})
        succeeded = [result for file in files["SUCCEEDED"] for result in self.read(file["Key"])]
        self.assertEqual(len({result["ExecutionArn"] for result in succeeded}), 119)
        for result in succeeded:
            self.assertEqual(json.loads(result["Output"]), {"Self": result["ExecutionArn"]})

    def test_a_map_fails_above_the_tolerated_share(self):
        execution = Machine(self.cloud, "tolerance", definition(0)).run("first")
        self.assertEqual((execution.status, execution.error), ("FAILED", "States.ExceedToleratedFailureThreshold"))
