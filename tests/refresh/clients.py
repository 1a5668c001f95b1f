"""Connects moto's interpreter of Step Functions to the emulator's Lambda, and to moto's other services."""

import functools
import os
import threading

import boto3
from botocore.config import Config
from moto.settings import moto_server_port
from moto.stepfunctions.parser.asl.utils import boto_client

# Maximum duration of a call in seconds, above the function's timeout.
TIMEOUT = 300

lock = threading.Lock()


def client_for(region: str, service: str, state_credentials=None):
    """Returns a client of a service. Replaces moto's function, whose clients all call moto.

    Clients can be shared by threads, but boto3 must not create two at the same time
    (https://docs.aws.amazon.com/boto3/latest/guide/clients.html).
    """
    with lock:
        return create(region, service)


@functools.cache
def create(region: str, service: str):
    moto = f"http://127.0.0.1:{moto_server_port()}"
    return boto3.client(
        service, region, endpoint_url=os.environ["LAMBDA_ENDPOINT"] if service == "lambda" else moto,
        # Step Functions repeats only by the definition.
        config=Config(retries={"total_max_attempts": 1}, read_timeout=TIMEOUT, parameter_validation=False),
    )


boto_client.boto_client_for = client_for
