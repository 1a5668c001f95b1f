"""The function, ECR and source registries of the program `refresh-world`, beside moto's services."""

import json
import os
import subprocess
from pathlib import Path

from cloud import TIMEOUT, Cloud

# Folder of the programs that `cargo build` writes.
PROGRAMS = Path(os.environ["PROGRAMS"])


class World:
    """The emulator's function, ECR and registries, and moto's S3, SNS, SQS, EventBridge and Step Functions."""

    def __enter__(self) -> "World":
        self.cloud = Cloud(Path(__file__).with_name("server.py"))
        self.process = subprocess.Popen(
            # Everything else of the function goes to the emulator's proxy, which loopback addresses bypass.
            [PROGRAMS / "refresh-world", "--variable", f"AWS_ENDPOINT_URL_S3={self.cloud.url}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        self.start = self._read()
        environment = self.start["Environment"]
        credentials = {name: value for name, value in environment.items() if name.startswith("AWS_")}
        self.cloud.more = {"LAMBDA_ENDPOINT": self.start["Lambda"], **credentials}
        try:
            self.cloud.__enter__()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_):
        self.cloud.__exit__()
        self._stop()

    def _stop(self):
        self.process.stdin.close()
        self.process.wait(TIMEOUT)
        self.process.stdout.close()

    def _read(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("refresh-world ended")
        return json.loads(line)

    def run(self, command: str, **arguments):
        """Runs a command of the program, and returns its result."""
        print(json.dumps({"command": command, **arguments}), file=self.process.stdin, flush=True)
        result = self._read()
        if "error" in result:
            raise ValueError(result["error"])
        return result
