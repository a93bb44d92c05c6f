"""Commands as processes of their own, and what they leave: everything visible must be whole, and the same again."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml
from PIL import Image
from safetensors.torch import load

from gangda.runtime.hashed_file import read_hashed

ZYGOTE = Path(__file__).with_name("zygote.py")
# Keys of what differs from run to run.
TIMES = re.compile(r"second|cost|per_s|draw_rate|versions|machine|^day$")


@dataclass
class Command:
    """A command under way."""

    zygote: "Zygote"
    pid: int
    cwd: Path

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Exit code, negative for a signal."""
        return self.zygote.ask({"wait": self.pid})

    def kill(self) -> int:
        self.signal(signal.SIGKILL)
        return self.wait()

    def until(self, happens: Callable[[], object], patience: float = 60.0) -> None:
        deadline = time.monotonic() + patience
        while not happens():
            assert time.monotonic() < deadline, self.err
            time.sleep(0.01)

    def until_it_listens(self) -> None:
        """Until it would hear of a SIGTERM: before that, Python itself is starting."""
        status = Path(f"/proc/{self.pid}/status")
        bit = 1 << (signal.SIGTERM - 1)
        self.until(lambda: int(re.search(r"SigCgt:\s*(\w+)", status.read_text())[1], 16) & bit)

    @property
    def err(self) -> str:
        return Path(f"{self.cwd}.err").read_text()

    @property
    def out(self) -> str:
        return Path(f"{self.cwd}.out").read_text()

    @property
    def line(self) -> str:
        """The one line of an error."""
        lines = [line for line in self.err.splitlines() if line.startswith("gangda: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


class Zygote:
    """Starts commands; see zygote.py."""

    def __init__(self, environment: dict[str, str]) -> None:
        pipe = subprocess.PIPE
        words = [sys.executable, str(ZYGOTE)]
        self._process = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, env=environment)
        assert self._process.stdout.readline() == "ready\n"

    def ask(self, request: dict) -> int:
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def start(self, words: Sequence[object], cwd: Path, room: int | None = None) -> Command:
        cwd.mkdir(parents=True, exist_ok=True)
        request = {"words": [str(word) for word in words], "cwd": str(cwd), "room": room}
        return Command(self, self.ask(request), cwd)

    def run(self, words: Sequence[object], cwd: Path, room: int | None = None) -> tuple[int, Command]:
        command = self.start(words, cwd, room)
        return command.wait(), command

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


def until_done(*words: object) -> None:
    """Run a command that fails as long as somebody, an indexer say, has a file open there."""
    for _ in range(100):
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
        if not done.returncode:
            return
        time.sleep(0.1)
    raise AssertionError(done.stderr)


def visible(folder: Path) -> dict[str, Path]:
    """Files by their relative names; not what is hidden or lies in something hidden."""
    found = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {name: path for name, path in found.items() if not re.search(r"(^|/)\.", name)}


def hidden(folder: Path) -> list[str]:
    """Hidden names other than locks."""
    return [str(path) for path in folder.rglob(".*") if path.name != ".lock"]


def contents(folder: Path) -> dict[str, object]:
    """What every visible file says, but for times: fails where one is not whole."""
    found = {}
    for name, path in visible(folder).items():
        found[name] = READERS.get(path.suffix, Path.read_bytes)(path)
    return found


def timeless(value: object) -> object:
    if isinstance(value, dict):
        return {key: timeless(entry) for key, entry in value.items() if not TIMES.search(str(key))}
    return [timeless(entry) for entry in value] if isinstance(value, list | tuple) else value


def _json(path: Path) -> object:
    value = json.loads(path.read_text())
    if isinstance(value, dict) and value.get("kind") == "cell":
        del value["content"]  # a hash that counts the seconds too; `compare` has read and checked it
    return timeless(value)


def _jsonl(path: Path) -> object:
    text = path.read_text()
    assert text == "" or text.endswith("\n"), path
    return [timeless(json.loads(line)) for line in text.splitlines()]


def _npz(path: Path) -> object:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
        return {name: (arrays[name].dtype.str, arrays[name].tobytes()) for name in arrays.files}


def _picture(path: Path) -> object:
    data = path.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        image.load()
    return data


def _safetensors(path: Path) -> object:
    data = path.read_bytes()
    load(data)
    return data


def _checkpoint(path: Path) -> object:
    return plain(torch.load(io.BytesIO(read_hashed(path)), weights_only=True))


def plain(value: object) -> object:
    """Nested state with tensors as bytes, but for times."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), value.numpy().tobytes()
    if isinstance(value, dict):
        return {
            key: plain(entry)
            for key, entry in value.items()
            if not TIMES.search(str(key)) and key != "last_epoch"
        }
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


READERS = {
    ".json": _json,
    ".jsonl": _jsonl,
    ".npz": _npz,
    ".png": _picture,
    ".gif": _picture,
    ".safetensors": _safetensors,
    ".pt": _checkpoint,
    ".yaml": lambda path: yaml.safe_load(path.read_text()),
    ".html": lambda path: re.sub(r"\d[\d.,]* ?(s|min|h)\b|\d+\.\d+", "TIME", path.read_text())[-20:],
}
