#!/bin/bash
# Report R4's grid: nine generators, dropout and width of the first layer, and a page on which people rate them blind.
set -euo pipefail
data=${DATA:-fashion-mnist} epochs=${EPOCHS:-50} out=${OUT:-rating-grid} sets=()

for dropout in 0.1 0.3 0.5; do
    for width in 64 128 256; do
        name=dropout-$dropout-width-$width
        gangda train --arch dcgan-5x5 --data "$data" --dropout "$dropout" --first-width "$width" \
            --epochs "$epochs" --checkpoint-every 5e --out "$out/$name/run"
        gangda sample "$out/$name/run" --per-class 2 --format npz --out "$out/$name/$name"
        sets+=("$out/$name/$name")
    done
done
# Sixteen images of each, and as many real ones; the answers go back with: gangda score --ratings FILE.csv
gangda score "${sets[@]}" --rating-page "$out/rating.html" --rating-images 16
