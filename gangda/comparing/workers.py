"""Several cells at a time, in processes of their own, which save their training when they are stopped."""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from gangda.comparing.added_images import Progress
from gangda.comparing.cell_result import FailedCell
from gangda.comparing.cells import run_cell
from gangda.comparing.plan import Cell, ComparisonPlan
from gangda.comparing.storage import read_cell
from gangda.errors import GangdaError, InterruptedByUserError, RunError, StoppedError, is_out_of_memory
from gangda.runtime.machine import available_cores, mps_runs
from gangda.runtime.progress import Reporter
from gangda.runtime.signals import StopRequest, stop_request

POLL = 0.2  # seconds between checks of the stop flag
PATIENCE = 20.0  # seconds for a worker to save its generator's state before it is ended
QUIET = 0.5  # seconds between a worker's progress messages

Work = Callable[[ComparisonPlan, Cell, Path, Progress], None]


def run_cells(
    plan: ComparisonPlan,
    cells: Sequence[Cell],
    out: Path,
    jobs: int,
    reporter: Reporter,
    work: Work = run_cell,
) -> None:
    """Run cells, `jobs` at a time. The first error, which names its cell, or a signal ends it; finished cells stay."""
    with stop_request() as stop:
        if jobs <= 1 or len(cells) <= 1:
            _run_here(plan, cells, out, reporter, stop, work)
        else:
            _Pool(plan, out, min(jobs, len(cells)), work).run(cells, reporter, stop)
    for cell in cells:
        if failed := read_cell(out, cell, FailedCell):
            reporter.line(f"FAILED, recorded and left out: {failed}")


def _run_here(
    plan: ComparisonPlan, cells: Sequence[Cell], out: Path, reporter: Reporter, stop: StopRequest, work: Work
) -> None:
    for done, cell in enumerate(cells):
        most = 0.0

        def report(share: float, info: str, done: int = done, cell: Cell = cell) -> None:
            nonlocal most
            # A cell's second generator begins at 0 again, which takes nothing back.
            most = max(most, share)
            reporter.step("cells", done + most, len(cells), f"seed {cell.seed}: {info}")

        # Training saves its state; the rest of a cell is done again.
        with stop.at_once(_stopped(done, len(cells))):
            work(plan, cell, out, report)
        reporter.step("cells", done + 1, len(cells), f"seed {cell.seed} done")


def job_count(jobs: int | None, plan: ComparisonPlan) -> tuple[int, str]:
    """Cells at a time, jobs x threads never above the cores; and why fewer than asked.

    On an accelerator it is one, or as many as asked for where NVIDIA's MPS runs, under which processes compute on one
    GPU at the same time and not in turns.
    """
    runtime, cores = plan.config.runtime, available_cores()
    threads = runtime.threads or 1
    usual = most = max(1, cores // threads)
    room = f"{cores} cores, {threads} for each cell"
    if runtime.device != "cpu":
        usual, nvidia = 1, runtime.device.startswith("cuda")
        if not (nvidia and mps_runs(os.environ)):
            most, room = 1, f"one {runtime.device} device" + nvidia * " without NVIDIA's MPS"
    if jobs is None or jobs <= most:
        return usual if jobs is None else jobs, ""
    return most, f" (--jobs {jobs} is more than fits: {room})"


class _Pool:
    """Workers that take one cell after the other from their pipe."""

    def __init__(self, plan: ComparisonPlan, out: Path, jobs: int, work: Work) -> None:
        context = multiprocessing.get_context("spawn")  # forking a process with torch's threads can hang
        self._workers: dict[Connection, BaseProcess] = {}
        self._busy: dict[Connection, Cell] = {}
        self._shares: dict[Connection, float] = {}
        for _ in range(jobs):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, plan, out, work), daemon=True)
            with _ignoring_interrupts():
                process.start()
            theirs.close()
            self._workers[ours] = process

    def run(self, cells: Sequence[Cell], reporter: Reporter, stop: StopRequest) -> None:
        waiting, done = list(cells), 0
        try:
            for pipe in self._workers:
                self._send_next(pipe, waiting)
            while self._busy:
                if stop:
                    raise stop.error(_stopped(done, len(cells)))
                for ready in wait(list(self._busy), timeout=POLL):
                    if isinstance(ready, Connection) and not stop:
                        done += self._receive(ready, waiting, reporter, done, len(cells))
        finally:
            self._end()

    def _send_next(self, pipe: Connection, waiting: list[Cell]) -> None:
        if waiting:
            self._busy[pipe] = waiting.pop(0)
            self._shares[pipe] = 0.0
            with contextlib.suppress(OSError):  # a worker that is gone: `_receive` reports how it ended
                pipe.send(self._busy[pipe])

    def _receive(
        self, pipe: Connection, waiting: list[Cell], reporter: Reporter, done: int, total: int
    ) -> int:
        """Take one message; 1 if it says that a cell is finished."""
        cell = self._busy[pipe]
        try:
            kind, value, info = pipe.recv()
        except (EOFError, OSError):
            raise _ended(self._workers[pipe], cell, _stopped(done, total)) from None
        if kind == "failed":
            raise value
        if kind == "stopped":
            raise StoppedError(_stopped(done, total))
        finished = kind == "done"
        if finished:
            del self._busy[pipe], self._shares[pipe]
            self._send_next(pipe, waiting)
        else:
            self._shares[pipe] = max(self._shares[pipe], float(value))
        share = done + finished + sum(self._shares.values())
        reporter.step("cells", share, total, f"seed {cell.seed}: {info}", done + finished)
        return int(finished)

    def _end(self) -> None:
        """Ask every worker to stop, wait for it to save, and end it if it does not."""
        for pipe, process in self._workers.items():
            if pipe in self._busy and process.is_alive():
                process.terminate()
            pipe.close()
        deadline = time.monotonic() + PATIENCE
        for process in self._workers.values():
            process.join(max(0.0, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()


def _stopped(done: int, total: int) -> str:
    saved = f"stopped with {done} of {total} cells finished and the others' training saved"
    return f"{saved}: run the same command again to go on"


def _ended(process: BaseProcess, cell: Cell, stopped: str) -> GangdaError:
    """The error for a worker that ended. A scheduler may signal every process at once, and the worker end first."""
    process.join(10.0)
    code = process.exitcode
    if code in (-signal.SIGTERM, -getattr(signal, "SIGUSR1", signal.SIGTERM)):
        return StoppedError(stopped)
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return RunError(f"cell {cell.index} (seed {cell.seed}): its worker ended ({how}); fewer --jobs may help")


@contextlib.contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    """Processes started inside ignore Ctrl-C, which the terminal sends to all of them: the parent decides."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(pipe: Connection, plan: ComparisonPlan, out: Path, work: Work) -> None:
    """Main loop of a worker: run the cells that come through the pipe."""
    os.setpgid(0, 0)  # training handles Ctrl-C itself, and would get it twice in the terminal's group
    last = 0.0

    def send(kind: str, value: Any = 0.0, info: str = "") -> bool:
        """One message to the parent; False if it has gone away."""
        try:
            pipe.send((kind, value, info))
        except OSError:
            return False
        return True

    def progress(share: float, info: str) -> None:
        """Tell the parent, at most every `QUIET` seconds; stop the cell when it has gone away."""
        nonlocal last
        if time.monotonic() - last >= QUIET:
            last = time.monotonic()
            if not send("at", share, info):
                raise StoppedError("the process that asked for this cell has gone away")

    while True:
        try:
            cell: Cell = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            # Training handles a signal first; one that comes at its end, or later, ends the cell here.
            with stop_request(patient=True) as stop, stop.at_once("stopped"):
                work(plan, cell, out, progress)
        except (StoppedError, InterruptedByUserError):
            send("stopped")
            return
        except GangdaError as error:
            send("failed", error)
            return
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            advice = "out of memory: use fewer --jobs or a smaller --batch-size"
            send("failed", RunError(f"cell {cell.index} (seed {cell.seed}): {advice}"))
            return
        send("done", 1.0, "done")
