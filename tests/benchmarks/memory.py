"""Anonymous memory of a process: watched by other benchmarks, and what loading and training on a folder take of it.

python tests/benchmarks/memory.py SOURCE RUN   (prints JSON; used by throughput.py)
"""

import json
import sys
import threading
import time
from pathlib import Path

from gangda import training
from gangda.config.schema import Budget, DataConfig, Runtime, TrainConfig
from gangda.data.loading import load_splits

EVERY = 0.02  # seconds between looks


def anonymous() -> float:
    """MiB of anonymous memory that this process has at the moment (Linux)."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition("RssAnon:")[2].split()[0]) / 1024


class Peak:
    """The most anonymous memory inside the block, beyond what there was before it: `mib` at its end."""

    def __enter__(self) -> "Peak":
        self.before = self.most = anonymous()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            self.most = max(self.most, anonymous())

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.mib = max(self.most, anonymous()) - self.before


def main() -> None:
    data = DataConfig(source=sys.argv[1])
    began = time.perf_counter()
    with Peak() as loading:
        splits = load_splits(data, 0)
    taken, left = time.perf_counter() - began, anonymous() - loading.before
    config = TrainConfig(data=data, budget=Budget(steps=30), runtime=Runtime(threads=1))
    with Peak() as trained:
        config = training.check(config, splits.train, True)
        training.fit_run(
            config,
            splits.train,
            splits.validation,
            Path(sys.argv[2]),
            fingerprint="",
            resume=False,
            reporter=training.SILENT,
        )
    result = {
        "images": len(splits.train) + len(splits.validation) + len(splits.test),
        "loading_seconds": taken,
        "loading_peak_mib": loading.mib,
        "loaded_mib": left,
        "training_peak_mib": trained.mib,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
