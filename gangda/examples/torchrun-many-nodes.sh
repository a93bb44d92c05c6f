#!/bin/bash
#SBATCH --job-name=gangda --nodes=2 --ntasks-per-node=1 --time=4:00:00 --open-mode=append
# torchrun, many nodes: one training by all GPUs of several nodes, which meet by a c10d rendezvous.
# For GPUs add: #SBATCH --gres=gpu:4, and PROCESSES=4. torchrun turns exit code 75 into 1: whether to submit the script
# again is what "finished" in run.json says.
set -euo pipefail
processes=${PROCESSES:-1} steps=${STEPS:-3000} out=${OUT:-run}
hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${HEAD_NODE:-${hosts%%$'\n'*}}

export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
srun torchrun --nnodes "$SLURM_NNODES" --nproc-per-node "$processes" --max-restarts 3 \
    --rdzv-backend c10d --rdzv-endpoint "$head:${PORT:-29500}" --rdzv-id "$SLURM_JOB_ID" \
    -m gangda train --data "${DATA:-digits}" --batch-size 64 --steps "$steps" --threads "${THREADS:-1}" --out "$out"
