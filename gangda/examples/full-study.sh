#!/bin/bash
# A full study: options found on validation images, then compared on test images with fresh seeds.
# The search uses seed 0; the comparison's seeds begin at 1000, so that its subsets and generators are others.
set -euo pipefail
data=${DATA:-fashion-mnist} per_class=${PER_CLASS:-100} out=${OUT:-full-study}

gangda doctor --data "$data" --per-class "$per_class"
gangda tune --space "${SPACE:-flow}" --data "$data" --per-class "$per_class" --trials "${TRIALS:-30}" --out "$out/study"
gangda compare --config "$out/study/best.yaml" --seed 1000 --seeds "${SEEDS:-10}" \
    --arms real,traditional,generated,generated+traditional --out "$out/comparison"
