#!/bin/bash
#SBATCH --job-name=gangda-tune --array=0-7 --ntasks=1 --cpus-per-task=4 --time=4:00:00
#SBATCH --requeue --open-mode=append --signal=TERM@120
# Slurm: a search over options of training, shared by the tasks of an array.
# Together they try TRIALS configurations; one that was lost with its task is taken up by another. Submitting again goes
# on, and the last task to end writes best.yaml and report.html.
set -uo pipefail
space=${SPACE:-flow} trials=${TRIALS:-40} out=${OUT:-study}

export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}
srun --ntasks=1 gangda tune --space "$space" --data "${DATA:-fashion-mnist}" --per-class "${PER_CLASS:-100}" \
    --trials "$trials" --threads "${SLURM_CPUS_PER_TASK:-1}" --out "$out"
code=$?
# 75: stopped, with all saved.
if [ $code -eq 75 ]; then
    scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
    sleep 30
fi
exit $code
