import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm
from filelock import FileLock
from processes import Zygote, until_done


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    """Starts commands as processes of their own, without the time that imports take."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GANGDA_")}
    cache = tmp_path_factory.mktemp("zygote") / "cache"
    zygote = Zygote({**own, "OMP_NUM_THREADS": "1", "GANGDA_CACHE": str(cache)})
    yield zygote
    zygote.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    allowed = shutil.which("mount") and os.geteuid() == 0
    if not allowed or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", place]).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    yield place
    until_done("umount", place)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[slurm.Slurm]:
    """One at a time, whichever process of pytest asks: they use the same ports."""
    with FileLock(Path(tempfile.gettempdir()) / "gangda-tests-slurm.lock"):
        if reason := slurm.missing():
            pytest.skip(reason)
        folder = tmp_path / "slurm"
        folder.mkdir()
        running = slurm.Slurm(folder)
        yield running
        running.end()
