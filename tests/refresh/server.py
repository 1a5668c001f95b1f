"""moto's server, whose Step Functions run executions.

Usage: server.py PORT. `LAMBDA_ENDPOINT` is the address of Lambda's API. The environment also has its credentials.
"""

import clients  # First, so that all of moto's modules import its function.
import interpreter
import sys

from moto.core.config import default_user_config
from moto.server import main

interpreter.install()
default_user_config["stepfunctions"]["execute_state_machine"] = True
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
