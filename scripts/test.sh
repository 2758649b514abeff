#!/usr/bin/env bash
# Runs the test suite in .venv, which is made if there is none. Arguments go to pytest: bash scripts/test.sh -k reader
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/venv.sh "[test]"
python -m pytest "$@"
