"""State machines in moto, and the resources of `cloudformation/image-refresh.yaml`."""

import json
import time
from dataclasses import dataclass

from cloud import Cloud
from template import ACCOUNT, REFRESH, Evaluation, load

TEMPLATE = load(REFRESH)
# Name of the stack of `Evaluation`, which is a part of the owner's name.
OWNER = "refresh/stack"
# Maximum duration of an execution in seconds.
LIMIT = 300
# Maximum size of the input or output of a state in bytes
# (https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html).
PAYLOAD_LIMIT = 256 * 1024


@dataclass
class Execution:
    """An execution that ended."""

    arn: str
    status: str
    output: dict | None
    error: str | None
    cause: str | None
    events: list[dict]

    def payloads(self) -> list[str]:
        """Returns the inputs and outputs of all states and of their tasks."""
        details = [value for event in self.events for value in event.values() if isinstance(value, dict)]
        return [detail[name] for detail in details for name in ["input", "output", "parameters"] if name in detail]

    def result(self, state: str) -> dict:
        """Returns the output of a state."""
        exits = [event["stateExitedEventDetails"] for event in self.events if "stateExitedEventDetails" in event]
        (output,) = [json.loads(details["output"]) for details in exits if details["name"] == state]
        return output


class Machine:
    """A state machine."""

    def __init__(self, cloud: Cloud, name: str, definition: dict):
        self.client = cloud.client("stepfunctions")
        self.arn = self.client.create_state_machine(
            name=name, definition=json.dumps(definition), roleArn=f"arn:aws:iam::{ACCOUNT}:role/workflow"
        )["stateMachineArn"]

    def run(self, name: str, input: dict | None = None) -> Execution:
        """Runs an execution until it ends."""
        arn = self.client.start_execution(stateMachineArn=self.arn, name=name, input=json.dumps(input or {}))
        arn = arn["executionArn"]
        for _ in range(LIMIT * 10):
            found = self.client.describe_execution(executionArn=arn)
            if found["status"] != "RUNNING":
                output = json.loads(found["output"]) if "output" in found else None
                events = self.client.get_execution_history(executionArn=arn)["events"]
                return Execution(arn, found["status"], output, found.get("error"), found.get("cause"), events)
            time.sleep(0.1)
        raise TimeoutError(arn)

    def executions(self) -> list[str]:
        """Returns the ARNs of all executions."""
        found = self.client.list_executions(stateMachineArn=self.arn)["executions"]
        return [execution["executionArn"] for execution in found]


class Stack:
    """The bucket, the topic and the event rule of a refresh stack. Queues receive its messages and events."""

    BUCKET = "image-refresh-bucket"

    def __init__(self, cloud: Cloud):
        self.cloud = cloud
        self.s3, self.sqs = cloud.client("s3"), cloud.client("sqs")
        self.s3.create_bucket(Bucket=self.BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        sns = cloud.client("sns")
        self.topic = sns.create_topic(Name="reports")["TopicArn"]
        self.messages, arn = self._queue("messages")
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)
        # docs/refresh.md names these values.
        self.events = self.rule("moved", {
            "source": ["container-image.refresh"], "detail-type": ["Container Image Moved"],
        })

    def rule(self, name: str, pattern: dict) -> str:
        """Creates a rule for events with this pattern, and returns the queue that receives them."""
        rules = self.cloud.client("events")
        rules.put_rule(Name=name, EventPattern=json.dumps(pattern))
        url, arn = self._queue(f"events-{name}")
        rules.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
        return url

    def _queue(self, name: str) -> tuple[str, str]:
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        return url, attributes["QueueArn"]

    def machine(self, name: str, **parameters) -> Machine:
        """Creates the state machine with these parameters of the template."""
        evaluation = Evaluation(TEMPLATE, {"Topic": self.topic, **parameters})
        evaluation.names["Bucket"] = self.BUCKET
        properties = evaluation.value(TEMPLATE["Resources"]["Refresh"]["Properties"])
        return Machine(self.cloud, name, properties["Definition"])

    def describe(self, name: str, machine: Machine):
        """Creates a stack in CloudFormation with the parameters and outputs of the template for a state machine."""
        evaluation = Evaluation(TEMPLATE, {})
        evaluation.names |= {"Bucket": self.BUCKET, "Refresh": machine.arn}
        # A stack needs a resource.
        resources = {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
        template = {
            "Parameters": TEMPLATE["Parameters"],
            "Resources": resources,
            "Outputs": evaluation.value(TEMPLATE["Outputs"]),
        }
        self.cloud.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))

    def put_list(self, text: str):
        """Writes the list to its default object."""
        key = TEMPLATE["Parameters"]["ListKey"]["Default"]
        self.s3.put_object(Bucket=self.BUCKET, Key=key, Body=text.encode())

    def read(self, key: str):
        """Returns the JSON of an object."""
        return json.load(self.s3.get_object(Bucket=self.BUCKET, Key=key)["Body"])

    def received_messages(self) -> list[dict]:
        """Removes and returns the messages of the topic."""
        return [json.loads(body) for body in self._receive(self.messages)]

    def received_events(self, queue: str = "") -> list[dict]:
        """Removes and returns the events of a rule's queue, by default those of all moved tags."""
        return [json.loads(body) for body in self._receive(queue or self.events)]

    def _receive(self, url: str) -> list[str]:
        bodies = []
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                bodies.append(message["Body"])
        return bodies
