"""Supplies what moto's interpreter of Step Functions lacks for a distributed map.

The interpreter runs the unchanged definition. Two parts of a distributed map are missing:

- Results of children. moto writes a manifest that names no result files, and its children are not executions of
  their own. Here, each child has its own ARN, and the result writer writes the documented files.
- Tolerated failures. moto tolerates all of them, and its grammar rejects a percentage without a fraction. Here,
  the map run fails above the tolerated share.

Import `clients` first, because moto's modules import its function by name.
"""

import collections
import functools
import json
import re
import time
import types
import uuid
from datetime import datetime, timezone

from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent, FailureEventException,
)
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.distributed_iteration_component import (
    DistributedIterationComponent as Map,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.itemprocessor.distributed_item_processor_worker import (
    DistributedItemProcessorWorker as Worker,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_map.result_writer.resource_eval.resource_eval_s3 import (
    ResourceEvalS3 as ResultWriter,
)
from moto.stepfunctions.parser.asl.eval.program_state import ProgramEnded, ProgramError
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser as Parser

# Executions in a result file. AWS limits only the size of a file, so a reader must expect several files.
EXECUTIONS_PER_FILE = 50
# The waited part of an interval between retries. The faults of the tests end after a number of requests.
WAITED_PART = 1 / 100

# The results of the children by the ARN of their map run.
results = collections.defaultdict(list)


def install():
    """Changes the interpreter of this process."""
    parse = Parser.parse
    Parser.parse = staticmethod(lambda definition: parse(with_fractions(definition)))
    Worker._eval_input = functools.partialmethod(evaluate_input, Worker._eval_input)
    Worker._eval_job = functools.partialmethod(run_child, Worker._eval_job)
    Map._map_run = functools.partialmethod(run_map, Map._map_run)
    ResultWriter._handle_put_object = staticmethod(write_results)
    retrier_decl.time = types.SimpleNamespace(sleep=lambda seconds: time.sleep(seconds * WAITED_PART))


def with_fractions(definition: str) -> str:
    """Writes percentages as moto's grammar accepts them. In JSON, 100 and 100.0 are the same number."""
    return re.sub(r'("ToleratedFailurePercentage"\s*:\s*\d+)(?=\s*[,}])', r"\1.0", definition)


def evaluate_input(worker, original, env_frame):
    """Evaluates the input of a child, and makes the child an execution of its own.

    For its states, `$$.Execution` is the child
    (https://docs.aws.amazon.com/step-functions/latest/dg/input-output-contextobject.html).
    """
    original(worker, env_frame)
    context = env_frame.states.context_object.context_object_data
    name = str(uuid.uuid4())
    machine = worker._map_run_record.map_state_machine_arn
    context["Execution"] = {
        **context["Execution"],
        "Id": f"{machine.replace(':stateMachine:', ':execution:')}:{name}",
        "Input": env_frame.states.get_input(),
        "Name": name,
        "StartTime": now(),
    }


def run_child(worker, original, env, job):
    """Runs a child, and keeps its result in the format of a result file."""
    original(worker, env, job)
    execution = env.states.context_object.context_object_data["Execution"]
    state, record = env.program_state(), worker._map_run_record
    if isinstance(state, ProgramEnded):
        result = {
            "Output": to_json(job.job_output),
            "OutputDetails": {"Included": True},
            "RedriveStatus": "NOT_REDRIVABLE",
            "RedriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
            "Status": "SUCCEEDED",
        }
    elif isinstance(state, ProgramError):
        cause, error = state.error.get("cause"), state.error.get("error")
        result = {"Cause": cause, "Error": error, "RedriveStatus": "REDRIVABLE", "Status": "FAILED"}
    else:
        # moto ignores errors of the interpreter itself. This one fails the map.
        job.job_output = RuntimeError(f"item {job.job_index} ended in the state {state}")
        return
    results[record.map_run_arn].append({
        "ExecutionArn": execution["Id"],
        "Input": to_json(execution["Input"]),
        "InputDetails": {"Included": True},
        "Name": execution["Name"],
        "RedriveCount": 0,
        "StartDate": execution["StartTime"],
        "StateMachineArn": record.map_state_machine_arn,
        "StopDate": now(),
        **result,
    })


def run_map(component, original, env, eval_input):
    """Runs the children, and fails if more than the tolerated share failed.

    AWS also stops the other children
    (https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html#maprun-fail-threshold).
    """
    original(component, env, eval_input)
    record = eval_input.map_run_record
    if record.tolerated_failure_count:
        raise NotImplementedError("ToleratedFailureCount")
    statuses = [result["Status"] for result in results[record.map_run_arn]]
    if statuses.count("FAILED") * 100 > record.tolerated_failure_percentage * len(statuses):
        error = StatesErrorName(typ=StatesErrorNameType.StatesExceedToleratedFailureThreshold)
        cause = "The specified tolerated failure threshold was exceeded"
        details = {"mapRunFailedEventDetails": {"error": error.error_name, "cause": cause}}
        raise FailureEventException(FailureEvent(env, error, "MapRunFailed", details))


def write_results(env, resource_runtime_part, state_credentials):
    """Writes the results of the last map run and their manifest.

    https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
    """
    parameters = env.stack.pop()
    env.stack.pop()
    s3 = ResultWriter._get_s3_client(resource_runtime_part, state_credentials)
    arn = env.map_run_record_pool_manager.get_all()[-1].map_run_arn
    bucket, prefix = parameters["Bucket"], parameters["Prefix"]
    folder = prefix + ("/" if prefix and not prefix.endswith("/") else "") + arn.rsplit(":", 1)[1]
    files = {"FAILED": [], "PENDING": [], "SUCCEEDED": []}
    for status, written in files.items():
        selected = [result for result in results[arn] if result["Status"] == status]
        for start in range(0, len(selected), EXECUTIONS_PER_FILE):
            key = f"{folder}/{status}_{len(written)}.json"
            body = to_json(selected[start:start + EXECUTIONS_PER_FILE]).encode()
            s3.put_object(Bucket=bucket, Key=key, Body=body)
            written.append({"Key": key, "Size": len(body)})
    manifest = {"DestinationBucket": bucket, "MapRunArn": arn, "ResultFiles": files}
    s3.put_object(Bucket=bucket, Key=f"{folder}/manifest.json", Body=to_json(manifest).encode())
    location = {"Bucket": bucket, "Key": f"{folder}/manifest.json"}
    env.stack.append({"MapRunArn": arn, "ResultWriterDetails": location})


def to_json(value) -> str:
    """Returns JSON without spaces, as Step Functions writes it."""
    return json.dumps(value, separators=(",", ":"))


def now() -> str:
    """Returns the time as in the result files."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
