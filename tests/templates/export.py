"""Evaluates the templates, and writes the result for programs that cannot read templates.

Usage: export.py FILE. The file is JSON:

    {"environment": {variable: value},          of the provider's function with default parameters
     "samples": {name: {logical id: resource}}} of every sample with a Custom::ContainerImage: those, and
                                                its repositories, which have their "Arn" beside "Properties"
"""

import json
import sys
from pathlib import Path

from template import ACCOUNT, PROVIDER, SAMPLES, Evaluation, load, load_comment

OTHER_ACCOUNT = "222222222222"
CODE = {"CodeBucketPrefix": "acme", "CodeKeyPrefix": "provider/1/bootstrap"}
# Name of the table that the emulator has (crates/aws-emulator).
STATE_TABLE = "cfn-container-image-provider-state"


def arn(service: str, name: str, account: str = ACCOUNT) -> str:
    """The ARN of something in an account."""
    return f"arn:aws:{service}:eu-west-1:{account}:{name}"


# Values of parameters that have no default, or whose default leaves the image out.
PARAMETERS = {
    "cross-account": {"RepositoryArn": arn("ecr", "repository/nginx", OTHER_ACCOUNT)},
    "ecs-service": {"Subnets": "subnet-01234567", "SecurityGroups": "sg-01234567"},
    "image-pipeline": {
        "ConnectionArn": arn("codeconnections", "connection/1"),
        "GitHubRepo": "acme/images",
        "ContainerImageCommand": "s3://acme-eu-west-1/container-image-x86_64",
    },
    "private-upstream": {"CredentialArn": arn("secretsmanager", "secret:hub-AbCdEf")},
    "stack-set": {"TemplateUrl": "https://acme/template.yaml", "OrganizationalUnitIds": "r-abcd"},
}
# The same for samples that are deployed in the other account too.
OTHER_PARAMETERS = {
    "cross-account": {"ProviderRoleArn": f"arn:aws:iam::{ACCOUNT}:role/provider"},
}


def environment() -> dict[str, str]:
    """Variables of the provider's function."""
    function = Evaluation(load(PROVIDER), CODE).resources()["CFNCustomProvider"]
    variables = function["Properties"]["Environment"]["Variables"]
    # CloudFormation generates the name of the table.
    return variables | {"STATE_TABLE": variables["STATE_TABLE"].replace("<StateTableResource>", STATE_TABLE)}


def resources(path: Path) -> dict[str, dict]:
    """A sample's images and repositories, of all accounts in which it is deployed."""
    found = deployed(path, PARAMETERS.get(path.stem), ACCOUNT)
    if path.stem in OTHER_PARAMETERS:
        other = deployed(path, OTHER_PARAMETERS[path.stem], OTHER_ACCOUNT)
        if twice := found.keys() & other.keys():
            raise ValueError(f"{path.stem} has {twice} in both accounts")
        found |= other
    return found


def deployed(path: Path, parameters: dict | None, account: str) -> dict[str, dict]:
    """Images and repositories of one deployment."""
    evaluated = Evaluation(load(path), parameters, account=account).resources()
    repositories = [name for name, resource in evaluated.items() if resource["Type"] == "AWS::ECR::Repository"]
    for name in repositories:
        made = arn("ecr", f"repository/{evaluated[name]['Properties']['RepositoryName']}", account)
        evaluated = json.loads(json.dumps(evaluated).replace(f"<{name}.Arn>", made))
        evaluated[name]["Arn"] = made
    # What a pipeline deploys is no resource of its own template, but a template of its source.
    if shown := load_comment(path):
        repository, = repositories
        given = {"RepositoryArn": evaluated[repository]["Arn"]}
        evaluated |= Evaluation(shown, given, account=account).resources()
    wanted = ("AWS::ECR::Repository", "Custom::ContainerImage")
    return {name: resource for name, resource in evaluated.items() if resource["Type"] in wanted}


def export() -> dict:
    """All of it."""
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
