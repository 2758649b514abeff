#!/usr/bin/env bash
# The main job on a small scale: collect, train, evaluate. Leaves demo/report/report.html and its pictures.
# Interrupted, it goes on where it was when it is started again; to begin anew, remove demo/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/venv.sh ""
began=$(date +%s)

collect --env distracting_memory --width 14 --n 5000 --out demo/data

resume=()
if [ -e demo/run/config.json ]; then
    resume=(--resume)
fi
# the options say what accelerate would otherwise warn that it assumes
accelerate launch --quiet --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no \
    train_wm.py --data demo/data --model s4wm-tiny --out demo/run ${resume[@]+"${resume[@]}"}

evaluate --checkpoint demo/run --data demo/data --out demo/report

echo "ran in $(($(date +%s) - began)) s; the report: $PWD/demo/report/report.html"
