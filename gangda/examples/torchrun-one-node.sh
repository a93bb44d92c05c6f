#!/bin/bash
# torchrun, one node: one training by several processes, one for each GPU, or each sharing the cores.
# The batch stays the same, each process takes its share of it. After a crash torchrun starts all of them again, and the
# run goes on from its last checkpoint; the same command does so too.
set -euo pipefail
processes=${PROCESSES:-2} steps=${STEPS:-3000} out=${OUT:-run}

export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 # or a restart after a killed process may hang
torchrun --standalone --nproc-per-node "$processes" --max-restarts 3 -m gangda train \
    --data "${DATA:-digits}" --batch-size 64 --steps "$steps" --threads "${THREADS:-1}" --out "$out"
