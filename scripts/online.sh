#!/usr/bin/env bash
# The online runs of RESULTS.md for two CPU cores, three seeds each: two runs at once, with one thread each.
#     scripts/online.sh memory_len         (or discounting_chain, cartpole, popgym: the first argument says which)
# Interrupted, it goes on where it was when it is started again. Table and curves end up in runs/online/NAME.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
extra=""
name=${1:?"which runs? memory_len, discounting_chain, cartpole or popgym"}
runs=runs/online/$name

each() { # each GROUP OPTIONS...: a line of options for each seed
    local group=$1
    shift
    for seed in 0 1 2; do
        echo "--out $runs/runs/$group-seed$seed --seed $seed $*"
    done
}

case $name in
    memory_len)
        options="--env memory_len --env-steps 26000"
        jobs=$(for length in 5 10 20 50 70 100; do
            for model in r2i rssm; do
                each $model-$length $options --length $length --model $model-symbols-tiny
            done
        done
        # rows of 64 steps, as DreamerV3 has them: shorter ones than two episodes
        for length in 70 100; do
            each rssm64-$length $options --length $length --model rssm-symbols-tiny \
                --batch-length 64 --batch-size 16 --starts anywhere
        done)
        ;;
    discounting_chain)
        # 1.1 is told from 1 by an exact prior only: a free nat is much of a latent of 4 x 4. The better chain is that of
        # 10 steps, whose reward a discount of 1 - 1/333 leaves the best
        jobs=$(each r2i --env discounting_chain --bonus 2 --model r2i-symbols-tiny --env-steps 26000 \
            --prefill 6000 --world-model.loss.free-nats 0.1)
        ;;
    cartpole)
        jobs=$(each r2i --env cartpole --model r2i-vector-tiny --env-steps 40000 --evaluate-every 4000)
        ;;
    popgym)
        extra="[popgym]"  # 40 minutes of a core each: the three seeds of a game take an hour of both
        jobs=$(for game in repeat_previous_easy autoencode_easy; do
            each $game --env popgym_$game --env-steps 1000000 --minutes 40
        done)
        ;;
    *)
        echo "online.sh: there are no runs called $name" >&2
        exit 2
        ;;
esac

. scripts/venv.sh "$extra"
mkdir -p "$runs/logs"
export OMP_NUM_THREADS=1
train() {
    python train_dreamer.py --cpu-threads 1 --evaluation-episodes 100 --no-films "${@:2}" \
        > "$1/logs/$(basename "$3").log" 2>&1 || echo "failed: $3, see $1/logs" >&2
}
export -f train
xargs -P 2 -L 1 bash -c 'train "$@"' train "$runs" <<< "$jobs"
longdream curves "$runs"/runs/* --out "$runs"
