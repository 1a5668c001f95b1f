"""Evaluates the templates and writes the result as JSON for other programs.

Usage: export.py FILE. The content of FILE:

    {"environment": {variable: value},          environment of the function with default parameters
     "samples": {name: {logical id: resource}}} images and repositories of each sample with an image;
                                                a repository has "Arn" next to "Properties"
"""

import json
import sys
from pathlib import Path

from template import ACCOUNT, PROVIDER, SAMPLES, Evaluation, load, load_comment

OTHER_ACCOUNT = "222222222222"
CODE = {"CodeBucketPrefix": "acme", "CodeKeyPrefix": "provider/1/bootstrap"}
# Name of the table in the emulator (crates/aws-emulator).
STATE_TABLE = "cfn-container-image-provider-state"


def arn(service: str, name: str, account: str = ACCOUNT) -> str:
    """Returns an ARN."""
    return f"arn:aws:{service}:eu-west-1:{account}:{name}"


# Values of parameters without a default, and of parameters whose default creates no image.
PARAMETERS = {
    "cross-account": {"RepositoryArn": arn("ecr", "repository/nginx", OTHER_ACCOUNT)},
    "ecs-service": {"Subnets": "subnet-01234567", "SecurityGroups": "sg-01234567"},
    "image-pipeline": {
        "ConnectionArn": arn("codeconnections", "connection/1"),
        "GitHubRepo": "acme/images",
        "ContainerImageCommand": "s3://acme-eu-west-1/container-image-x86_64",
    },
    "nightly-sync": {
        "ContainerImageCommand": "s3://acme-eu-west-1/container-image-x86_64",
        "Email": "images@acme.example",
    },
    "private-upstream": {"CredentialArn": arn("secretsmanager", "secret:hub-AbCdEf")},
    "refresh-dashboard": {"StateMachineArn": arn("states", "stateMachine:Refresh")},
    "refresh-pipeline": {"Pipeline": "app", "Email": "images@acme.example"},
    "stack-set": {"TemplateUrl": "https://acme/template.yaml", "OrganizationalUnitIds": "r-abcd"},
}
# Parameters of samples that are also deployed in the other account.
OTHER_PARAMETERS = {
    "cross-account": {"ProviderRoleArn": f"arn:aws:iam::{ACCOUNT}:role/provider"},
}


def environment() -> dict[str, str]:
    """Returns the environment variables of the provider's function."""
    function = Evaluation(load(PROVIDER), CODE).resources()["CFNCustomProvider"]
    variables = function["Properties"]["Environment"]["Variables"]
    # CloudFormation generates the name of the table.
    return variables | {"STATE_TABLE": variables["STATE_TABLE"].replace("<StateTableResource>", STATE_TABLE)}


def resources(path: Path) -> dict[str, dict]:
    """Returns the images and repositories of a sample in all accounts."""
    found = deployed(path, PARAMETERS.get(path.stem), ACCOUNT)
    if path.stem in OTHER_PARAMETERS:
        other = deployed(path, OTHER_PARAMETERS[path.stem], OTHER_ACCOUNT)
        if duplicates := found.keys() & other.keys():
            raise ValueError(f"{path.stem} has {duplicates} in both accounts")
        found |= other
    return found


def deployed(path: Path, parameters: dict | None, account: str) -> dict[str, dict]:
    """Returns the images and repositories of one deployment."""
    evaluated = Evaluation(load(path), parameters, account=account).resources()
    repositories = [name for name, resource in evaluated.items() if resource["Type"] == "AWS::ECR::Repository"]
    for name in repositories:
        repository_arn = arn("ecr", f"repository/{evaluated[name]['Properties']['RepositoryName']}", account)
        evaluated = json.loads(json.dumps(evaluated).replace(f"<{name}.Arn>", repository_arn))
        evaluated[name]["Arn"] = repository_arn
    # The image of the pipeline is in the template of its source repository, which a comment contains.
    if comment := load_comment(path):
        repository, = repositories
        values = {"RepositoryArn": evaluated[repository]["Arn"]}
        evaluated |= Evaluation(comment, values, account=account).resources()
    types = ("AWS::ECR::Repository", "Custom::ContainerImage")
    return {name: resource for name, resource in evaluated.items() if resource["Type"] in types}


def export() -> dict:
    """Returns the content of the file."""
    samples = {path.stem: resources(path) for path in SAMPLES}
    return {
        "environment": environment(),
        "samples": {
            name: found for name, found in samples.items()
            if any(resource["Type"] == "Custom::ContainerImage" for resource in found.values())
        },
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(export(), indent=2) + "\n")
