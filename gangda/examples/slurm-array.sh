#!/bin/bash
# Slurm: a comparison as a job array, one task for each seed, and a job that judges when all have ended.
# Run it on the node that submits, with the folder on a file system that all nodes share. Submitting again runs only
# what is missing; a task that is preempted or runs out of time saves its training and is requeued.
set -euo pipefail
data=${DATA:-fashion-mnist} per_class=${PER_CLASS:-100} seeds=${SEEDS:-10} out=${OUT:-comparison}

# Writes the plan. Device and threads are part of it: make it on a node of the kind that runs it.
srun --ntasks=1 --cpus-per-task=4 gangda compare --data "$data" --per-class "$per_class" --arch flow \
    --seeds "$seeds" --threads 4 --out "$out" --print-sbatch > "$out.sbatch"
job=$(sbatch --parsable "$out.sbatch")
sbatch --dependency="afterany:$job" --output="$out/logs/judge.log" --wrap="gangda compare --out $out --judge"
