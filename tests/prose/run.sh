#!/usr/bin/env bash
# Checks words and names with typos, and constructions and sentence lengths with check.py. Needs Python 3, and installs
# typos into a virtual environment under the target folder.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
target=${CARGO_TARGET_DIR:-target}
environment=$target/prose-environment

if ! cmp -s "$here/requirements.txt" "$environment/requirements.txt"; then
    rm -rf "$environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$environment/"
fi

result=0
"$environment/bin/typos" --format brief . || result=1
python3 "$here/check.py" || result=1
exit $result
