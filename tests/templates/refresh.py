"""The evaluated template of the refresh stack, for the tests of its workflow and its roles."""

from template import REFRESH, Evaluation, load

TOPIC = "arn:aws:sns:eu-west-1:123456789012:images"
KEY = "arn:aws:kms:eu-west-1:123456789012:key/1"
VARIANTS = [{}, {"Topic": TOPIC}, {"EncryptionKeyArn": KEY}, {"Topic": TOPIC, "EncryptionKeyArn": KEY}]


def evaluate(region: str = "eu-west-1", **parameters: str) -> Evaluation:
    """Returns the evaluation with these parameters."""
    return Evaluation(load(REFRESH), parameters, region=region)


def definition(**parameters: str) -> dict:
    """Returns the definition of the workflow."""
    return evaluate(**parameters).resources()["Refresh"]["Properties"]["Definition"]


def nodes(value):
    """Returns all objects in a JSON value."""
    if isinstance(value, dict):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from nodes(item)
