#!/bin/bash
#SBATCH --job-name=gangda --nodes=2 --ntasks-per-node=1 --time=4:00:00 --requeue --open-mode=append --signal=TERM@120
# srun without torchrun: one training by all tasks of a job, which saves and requeues itself before its time is over.
# One task for each GPU: #SBATCH --ntasks-per-node=4 --gres=gpu:4. MASTER_ADDR and MASTER_PORT, where they are set, say
# where the tasks meet; otherwise on the first node.
set -uo pipefail
steps=${STEPS:-3000} out=${OUT:-run}

srun --kill-on-bad-exit=0 gangda train \
    --data "${DATA:-digits}" --batch-size 64 --steps "$steps" --threads "${THREADS:-1}" --out "$out"
code=$?
# 75: stopped, with all saved.
if [ $code -eq 75 ]; then
    scontrol requeue "$SLURM_JOB_ID"
    sleep 30
fi
exit $code
