"""Writes what the templates make of their parameters, for programs that read no templates.

Usage: export.py FILE. The file is JSON:

    {"environment": {variable: value},              of the provider's function, as installed by default
     "samples": {name: {logical id: properties}}}   of every Custom::ContainerImage in samples/
"""

import json
import sys
from pathlib import Path

from template import PROVIDER, SAMPLES, Evaluation, load

ACCOUNT = "arn:aws:{}:eu-west-1:123456789012:{}"
CODE = {"CodeBucketPrefix": "acme", "CodeKeyPrefix": "provider/1/bootstrap"}
# Values of parameters that have no default, or whose default leaves the image out.
PARAMETERS = {
    "cross-account": {"RepositoryArn": ACCOUNT.format("ecr", "repository/nginx")},
    "ecs-service": {"Subnets": "subnet-01234567", "SecurityGroups": "sg-01234567"},
    "image-pipeline": {
        "ConnectionArn": ACCOUNT.format("codeconnections", "connection/1"),
        "GitHubRepo": "acme/images",
        "ContainerImageCommand": "s3://acme-eu-west-1/container-image-x86_64",
    },
    "private-upstream": {"CredentialArn": ACCOUNT.format("secretsmanager", "secret:hub-AbCdEf")},
    "stack-set": {"TemplateUrl": "https://acme/template.yaml", "OrganizationalUnitIds": "r-abcd"},
}


def environment() -> dict[str, str]:
    """Variables of the provider's function."""
    function = Evaluation(load(PROVIDER), CODE).resources()["CFNCustomProvider"]
    return function["Properties"]["Environment"]["Variables"]


def images(path: Path) -> dict[str, dict]:
    """Properties of a sample's images, with their repositories' ARNs."""
    evaluation = Evaluation(load(path), PARAMETERS.get(path.stem))
    resources = evaluation.resources()
    for logical_id, resource in resources.items():
        if resource["Type"] == "AWS::ECR::Repository":
            arn = ACCOUNT.format("ecr", f"repository/{resource['Properties']['RepositoryName']}")
            resources = json.loads(json.dumps(resources).replace(f"<{logical_id}.Arn>", arn))
    return {
        name: resource["Properties"] for name, resource in resources.items()
        if resource["Type"] == "Custom::ContainerImage"
    }


def export() -> dict:
    """All of it."""
    samples = {path.stem: images(path) for path in SAMPLES}
    return {"environment": environment(), "samples": {name: found for name, found in samples.items() if found}}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(export(), indent=2) + "\n")
