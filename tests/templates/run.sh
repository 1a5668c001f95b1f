#!/usr/bin/env bash
# Tests the templates, the shell scripts and what the documentation says of them, with Python, and jq for
# the documentation's commands. Installs what it runs into a virtual environment under the target folder.
#
# What the provider called is compared when `make test` has left a list of it;
# REQUIRE_ACTIONS_SEEN=1 makes it a failure that there is none.
#
# Usage: run.sh [NAME...]       names of tests as `python -m unittest` takes them; all without one
#        run.sh --export FILE   writes what export.py says instead
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

target=${CARGO_TARGET_DIR:-$root/target}
environment=$target/templates-environment

if ! cmp -s "$here/requirements.txt" "$environment/requirements.txt"; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    # Last, so that an installation that broke off is begun anew.
    cp "$here/requirements.txt" "$environment/"
fi

export PATH=$environment/bin:$PATH PYTHONDONTWRITEBYTECODE=1
export ACTIONS_SEEN=$target/actions-seen
if [ "${1:-}" = --export ]; then
    exec python "$here/export.py" "$2"
fi
cd "$here"
if [ $# -gt 0 ]; then
    exec python -m unittest --verbose "$@"
fi
exec python -m unittest discover --verbose --pattern 'test_*.py'
