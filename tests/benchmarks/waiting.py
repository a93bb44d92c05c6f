"""How OpenMP's threads should wait: milliseconds a training step, alone and beside busy processes. Run by hand:

python tests/benchmarks/waiting.py [ROUNDS [BUSY]]      in turns, BUSY other processes beside; sets torch's two threads
"""

import itertools
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

POLICIES = ("", "GOMP_SPINCOUNT=10000", "OMP_WAIT_POLICY=PASSIVE")  # the first: what OpenMP does by itself
STEPS = {"flow": 8, "cdcgan": 30}


def child() -> None:
    """Print the milliseconds that a step of each architecture takes in this process."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
    import numpy as np
    from training_setup import begin, configured, networks_of

    from gangda.config.schema import DataConfig, Runtime
    from gangda.data.loading import load_splits
    from gangda.runtime.device import prepare

    context = prepare(Runtime(precision="fp32", threads=2))
    images = load_splits(DataConfig(source="fashion-mnist"), 0).train.take(np.arange(900))
    for arch, steps in STEPS.items():
        config = configured(arch, {}, 28)
        _, loop = begin(config, networks_of(config, images), images, context, 1000, 0)
        for _ in itertools.islice(loop, 3):
            pass
        begun = time.perf_counter()
        for _ in itertools.islice(loop, steps):
            pass
        print(1000 * (time.perf_counter() - begun) / steps)


def main(rounds: int, busy: int) -> None:
    """Print the medians over rounds."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    taken: dict[str, list[list[float]]] = {policy: [] for policy in POLICIES}
    try:
        for _, policy in itertools.product(range(rounds), POLICIES):
            own = dict([policy.split("=")]) if policy else {}
            command = [sys.executable, __file__, "child"]
            done = subprocess.run(command, env=os.environ | own, capture_output=True, text=True, check=True)
            taken[policy].append([float(line) for line in done.stdout.split()])
    finally:
        for other in others:
            other.kill()
    for policy, found in taken.items():
        columns = zip(STEPS, zip(*found, strict=True), strict=True)
        text = [
            f"{arch} {statistics.median(each):.0f} ({min(each):.0f} to {max(each):.0f})"
            for arch, each in columns
        ]
        print(f"{policy or 'by itself'}: {', '.join(text)} ms a step")


if __name__ == "__main__":
    if sys.argv[1:] == ["child"]:
        child()
    else:
        rounds, busy, *_ = *map(int, sys.argv[1:]), *(3, 0)[len(sys.argv) - 1 :]
        main(rounds, busy)
