#!/usr/bin/env bash
# Runs the test suite in .venv, which is made if there is none: a process of one thread for each core, four at most.
# Arguments go to pytest: bash scripts/test.sh -k reader; all in one process: bash scripts/test.sh -n 0
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/venv.sh "[test]"
export OMP_NUM_THREADS=1
# a file's tests stay together, for they share what is dear to make
python -m pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder "$@"
