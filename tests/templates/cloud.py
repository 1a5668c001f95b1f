"""Emulated AWS services (moto) on loopback, and the AWS CLI that uses them."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import boto3

# Timeout of a command in seconds. The AWS CLI needs one second to start.
TIMEOUT = 120


class Cloud:
    """moto's server, which runs in the `with` block. `more` is added to its environment."""

    def __init__(self, program: Path = Path(__file__).with_name("server.py"), **more: str):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.program, self.more = program, more

    def __enter__(self) -> "Cloud":
        self.server = subprocess.Popen(
            [sys.executable, self.program, str(self.port)],
            # By default, S3 denies access to buckets of other accounts.
            env={**os.environ, "MOTO_S3_ALLOW_CROSSACCOUNT_ACCESS": "false", **self.more},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            if self.server.poll() is not None:
                break
            time.sleep(0.1)
        self.__exit__()
        raise RuntimeError("moto did not start")

    def __exit__(self, *_):
        self.server.terminate()
        self.server.wait(TIMEOUT)

    def environment(self, region: str = "eu-west-1", **more: str) -> dict:
        """Returns environment variables that direct the AWS CLI to this server only."""
        kept = {name: os.environ[name] for name in ["PATH", "HOME"]}
        return {
            **kept,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
            **more,
        }

    def run(self, *command: str | Path, region: str = "eu-west-1", **more: str) -> subprocess.CompletedProcess:
        """Runs a program with `more` in its environment."""
        return subprocess.run(
            list(map(str, command)), env=self.environment(region, **more), timeout=TIMEOUT,
            capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )

    def aws(self, *arguments: str, region: str = "eu-west-1"):
        """Runs the AWS CLI and returns its JSON output."""
        done = self.run("aws", *arguments, "--output", "json", region=region)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return json.loads(done.stdout) if done.stdout.strip() else None

    def client(self, service: str, region: str = "eu-west-1", account: str = ""):
        """Returns a boto3 client for this server, optionally of another account. It is faster than the AWS CLI."""
        client = boto3.client(
            service, region, endpoint_url=self.url, aws_access_key_id="test", aws_secret_access_key="test"
        )
        if account:
            add = lambda params, **_: params["headers"].update({"x-moto-account-id": account})
            client.meta.events.register("before-call", add)
        return client

    def reset(self):
        """Deletes all resources."""
        request = urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")
        urllib.request.urlopen(request, timeout=TIMEOUT).close()
