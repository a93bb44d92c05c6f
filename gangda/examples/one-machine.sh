#!/bin/bash
# One machine: train a generator, look at its samples and scores, and ask whether it helps.
# STEPS=50 PER_CLASS=20 bash one-machine.sh is a quick trial.
set -euo pipefail
data=${DATA:-digits} per_class=${PER_CLASS:-50} steps=${STEPS:-1500} fit=${CLASSIFIER_STEPS:-2000}
seeds=${SEEDS:-10} out=${OUT:-one-machine}

gangda train --data "$data" --per-class "$per_class" --steps "$steps" --out "$out/run"
gangda sample "$out/run" --per-class 100 --format npz --out "$out/samples"
gangda score "$out/samples" --classifier-steps "$fit" --out "$out/scores"
# Paired seeds, each with a generator of its own; run again, it goes on.
gangda compare --data "$data" --per-class "$per_class" --steps "$steps" --classifier-steps "$fit" \
    --seeds "$seeds" --out "$out/comparison"
