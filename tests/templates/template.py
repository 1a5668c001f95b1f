"""Reads CloudFormation templates and evaluates them as far as possible without AWS.

Loaded templates contain the long form of all functions (`{"Fn::Sub": ...}`).
"""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
PROVIDER = ROOT / "cloudformation" / "cfn-container-image-provider.yaml"
REFRESH = ROOT / "cloudformation" / "image-refresh.yaml"
SAMPLES = sorted((ROOT / "samples").glob("*.yaml"))

# Default account of evaluations.
ACCOUNT = "123456789012"
# Value of `Ref` for a resource and of `Fn::GetAtt` for an attribute. It contains their name.
UNKNOWN = "<{}>"
# Value of AWS::NoValue, which removes a property.
NO_VALUE = object()


class Loader(yaml.SafeLoader):
    """Loads YAML with CloudFormation's tags and types."""


def _tagged(loader: Loader, suffix: str, node: yaml.Node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix in ("Ref", "Condition"):
        return {suffix: value}
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", _tagged)
# CloudFormation treats dates such as 2012-10-17 as strings, also without quotes.
Loader.add_constructor("tag:yaml.org,2002:timestamp", Loader.construct_yaml_str)


def load(path: Path) -> dict:
    """Returns the template in `path`."""
    return yaml.load(path.read_text(), Loader)


def load_comment(path: Path) -> dict | None:
    """Returns the template with an image that a comment of `path` contains."""
    for block in re.findall(r"(?:^#   .*\n)+", path.read_text(), re.M):
        if "Type: Custom::ContainerImage" in block:
            return yaml.load(re.sub("^#   ", "", block, flags=re.M), Loader)
    return None


class Evaluation:
    """A template with the values of its parameters."""

    def __init__(
        self, template: dict, parameters: dict | None = None, region: str = "eu-west-1", account: str = ACCOUNT
    ):
        self.template = template
        partition, suffix = partition_of(region)
        self.names = {
            "AWS::Partition": partition,
            "AWS::URLSuffix": suffix,
            "AWS::Region": region,
            "AWS::AccountId": account,
            "AWS::StackName": "stack",
            "AWS::StackId": f"arn:{partition}:cloudformation:{region}:{account}:stack/stack/7c9e6679",
            "AWS::NoValue": NO_VALUE,
        }
        remaining = dict(parameters or {})
        for name, parameter in template.get("Parameters", {}).items():
            value = remaining.pop(name, parameter.get("Default"))
            if value is None:
                raise ValueError(f"parameter {name} has no value")
            is_list = "List" in parameter["Type"] and isinstance(value, str)
            self.names[name] = value.split(",") if is_list else value
        if remaining:
            raise ValueError(f"unknown parameters: {', '.join(remaining)}")

    def rule_violations(self) -> list[str]:
        """Returns the messages of the Rules that reject the parameters."""
        messages = []
        for rule in self.template.get("Rules", {}).values():
            if "RuleCondition" in rule and not self.value(rule["RuleCondition"]):
                continue
            for assertion in rule["Assertions"]:
                if not self.value(assertion["Assert"]):
                    messages.append(assertion["AssertDescription"])
        return messages

    def resources(self) -> dict:
        """Returns the evaluated resources whose conditions are true."""
        resources = {}
        for name, resource in self.template["Resources"].items():
            condition = resource.get("Condition")
            if condition is None or self.condition(condition):
                resources[name] = self.value(resource)
        return resources

    def condition(self, name: str) -> bool:
        """Returns the value of a condition."""
        return self.value(self.template["Conditions"][name])

    def value(self, node):
        """Evaluates all functions in `node`."""
        if isinstance(node, list):
            values = [self.value(item) for item in node]
            return [value for value in values if value is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            (function, argument), = node.items()
            if function == "Ref":
                return self.names.get(argument, UNKNOWN.format(argument))
            # Resources have this key too, but they have other keys as well.
            if function == "Condition" and isinstance(argument, str):
                return self.condition(argument)
            if function.startswith("Fn::"):
                return self.function(function[4:], argument)
        values = {key: self.value(item) for key, item in node.items()}
        return {key: value for key, value in values.items() if value is not NO_VALUE}

    def function(self, name: str, argument):
        """Evaluates one function."""
        if name == "If":
            condition, then, else_ = argument
            return self.value(then if self.condition(condition) else else_)
        if name == "Sub":
            return self.substitute(argument)
        argument = self.value(argument)
        match name:
            case "Equals":
                # CloudFormation compares numbers as strings.
                return str(argument[0]) == str(argument[1])
            case "And":
                return all(argument)
            case "Or":
                return any(argument)
            case "Not":
                return not argument[0]
            case "Contains":
                return argument[1] in argument[0]
            case "Join":
                return argument[0].join(map(str, argument[1]))
            case "Split":
                return argument[1].split(argument[0])
            case "Select":
                return argument[1][int(argument[0])]
            case "GetAtt":
                return UNKNOWN.format(".".join(argument))
            case "ImportValue":
                return UNKNOWN.format(argument)
            case "FindInMap":
                mapping, first, second = argument
                return self.template["Mappings"][mapping][first][second]
            case "GetAZs" | "Cidr":
                return [UNKNOWN.format(f"{name}{index}") for index in range(6)]
        raise ValueError(f"Fn::{name} is not supported")

    def substitute(self, argument) -> str:
        """Evaluates `Fn::Sub` with or without a map of values."""
        text, values = argument if isinstance(argument, list) else (argument, {})
        values = self.value(values)

        def replacement(match: re.Match) -> str:
            name = match.group(1)
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            return str(values.get(name, self.names.get(name, UNKNOWN.format(name))))

        return re.sub(r"\$\{([^}]+)\}", replacement, text)


def role_statements(resources: dict) -> list[dict]:
    """Returns the statements of the function's role: its inline policies and its policy in a VPC."""
    documents = [policy["PolicyDocument"] for policy in resources["LambdaRole"]["Properties"]["Policies"]]
    if "VpcAccess" in resources:
        documents.append(resources["VpcAccess"]["Properties"]["PolicyDocument"])
    return [statement for document in documents for statement in document["Statement"]]


def partition_of(region: str) -> tuple[str, str]:
    """Returns the partition of a Region and its DNS suffix."""
    if region.startswith("cn-"):
        return "aws-cn", "amazonaws.com.cn"
    if region.startswith("us-gov-"):
        return "aws-us-gov", "amazonaws.com"
    if region.startswith("eusc-"):
        return "aws-eusc", "amazonaws.eu"
    return "aws", "amazonaws.com"
