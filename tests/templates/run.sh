#!/usr/bin/env bash
# Tests the templates, the shell scripts and the documentation. Needs Python 3, and jq for the commands of the
# documentation. Installs its requirements into a virtual environment under the target folder.
#
# `make test` lists the AWS actions that the provider calls. If the list exists, it is compared with the role.
# With REQUIRE_ACTIONS_SEEN=1, a missing list is a failure.
#
# Usage: run.sh [NAME...]       runs these tests (arguments of `python -m unittest`), or all
#        run.sh --export FILE   writes the evaluated templates (see export.py)
#        run.sh --refresh [NAME...]   runs the tests of the refresh stack in tests/refresh instead. They need the
#                               programs of a debug build, whose folder is PROGRAMS.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

target=${CARGO_TARGET_DIR:-$root/target}
environment=$target/templates-environment

if ! cmp -s "$here/requirements.txt" "$environment/requirements.txt"; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    # Last, so that an interrupted installation starts again.
    cp "$here/requirements.txt" "$environment/"
fi

export PATH=$environment/bin:$PATH PYTHONDONTWRITEBYTECODE=1
export ACTIONS_SEEN=$target/actions-seen
if [ "${1:-}" = --export ]; then
    exec python "$here/export.py" "$2"
fi
if [ "${1:-}" = --refresh ]; then
    shift
    export PYTHONPATH=$here PROGRAMS=${PROGRAMS:-$(realpath "$target")/debug}
    here=$root/tests/refresh
fi
cd "$here"
if [ $# -gt 0 ]; then
    exec python -m unittest --verbose "$@"
fi
exec python -m unittest discover --verbose --pattern 'test_*.py'
