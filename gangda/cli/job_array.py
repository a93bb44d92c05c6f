"""A script for Slurm that runs the cells of a plan as a job array, and how to judge them afterwards."""

import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from gangda.config.schema import Runtime

LOGS = "logs"  # in the comparison's folder: Slurm does not make it
SLACK = 3.0  # of the time that a cell took here: other nodes may be slower
BASE = 2.0  # GiB that a process takes by itself
ROOM = 1.5  # of the memory that a cell's images and training take
NOTICE = 120  # seconds before the end of the time in which a cell saves its training

SCRIPT = """\
#!/bin/bash
# {cells} cells of {out}. To run and to judge them:
#   job=$(sbatch --parsable SCRIPT)
#   sbatch --dependency=afterany:$job --output={judge_log} --wrap={judge}
# Judging exits with 3 and names the cells where some are missing; submitting the same array again runs only those.
#SBATCH --job-name=gangda
#SBATCH --array=0-{last}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={threads}
{memory}{device}#SBATCH --time={time}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=TERM@{notice}
#SBATCH --chdir={cwd}
#SBATCH --output={log}

export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
srun --ntasks=1 {command} --cell "$SLURM_ARRAY_TASK_ID"
code=$?
# 75: stopped, with all saved.
if [ $code -eq 75 ]; then
    scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_${{SLURM_ARRAY_TASK_ID}}"
    sleep 30
fi
exit $code
"""


def job_array(
    words: Sequence[str], out: Path, cells: int, runtime: Runtime, seconds: float | None, memory: int | None
) -> str:
    """The script's text, for `gangda compare` with these words; `seconds`, `memory`: of a cell, None if not known."""
    out = out.resolve()
    command = shlex.join([sys.executable, "-m", "gangda", "compare", *words, "--out", str(out)])
    return SCRIPT.format(
        cells=cells,
        last=cells - 1,
        out=out,
        # Slurm splits its lines at spaces outside quotes, as a shell does.
        log=shlex.quote(str(out / LOGS / "%A_%a.log")),
        judge_log=shlex.quote(str(out / LOGS / "judge.log")),
        cwd=shlex.quote(str(Path.cwd())),
        judge=shlex.quote(f"{command} --judge"),
        threads=runtime.threads or 1,
        memory="" if memory is None else f"#SBATCH --mem={math.ceil(BASE + ROOM * memory / 2**30)}G\n",
        device="" if runtime.device == "cpu" else "#SBATCH --gres=gpu:1\n",
        time=_limit(seconds),
        notice=NOTICE,
        command=command,
    )


def _limit(seconds: float | None) -> str:
    """Slurm's HH:MM:00: whole ten minutes, or four hours where the time is not known."""
    tens = 24 if seconds is None else max(1, math.ceil((SLACK * seconds + NOTICE) / 600))
    return f"{tens // 6:02d}:{tens % 6 * 10:02d}:00"
