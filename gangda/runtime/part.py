"""Which part of the work one command does: of a plan's cells all, one, every n-th, or none; of samples a shard."""

from collections.abc import Sequence
from dataclasses import dataclass

from gangda.errors import UsageError

PLAN, JUDGE = "plan", "judge"


@dataclass(frozen=True)
class Part:
    """What one command does of the work, for job arrays.

    `cell` (a number, or a text such as "0-9,12"), or `shard` (i, n with 1 <= i <= n: the i-th cell and every n-th after
    it), runs some cells and does not judge. `only` "plan" writes the plan, "judge" reads the cells and judges; neither
    runs any.
    """

    cell: int | str | None = None
    shard: tuple[int, int] | None = None
    only: str = ""

    @property
    def judges(self) -> bool:
        """Whether a verdict comes of it."""
        return self.cell is None and self.shard is None and self.only != PLAN

    def numbers(self, cells: int) -> Sequence[int]:
        """The cells that are run where they are missing, of so many; a UsageError for a number that there is not."""
        if self.only:
            return range(0)
        if self.shard is not None:
            i, n = self.shard
            return range(i - 1, cells, n)
        if self.cell is None:
            return range(cells)
        wanted = read_cells(self.cell)
        if outside := [number for number in wanted if not 0 <= number < cells]:
            raise UsageError(f"--cell {outside[0]}: the plan has cells 0 to {cells - 1}")
        return wanted


WHOLE = Part()


def read_shard(text: str) -> tuple[int, int]:
    """`i/n` as (i, n), 1 <= i <= n <= 999999; raises UsageError."""
    i, _, n = text.partition("/")
    if not (i.isdecimal() and n.isdecimal() and max(len(i), len(n)) <= 6 and 1 <= int(i) <= int(n)):
        raise UsageError(f"--shard {text[:40]}: write it as 2/8; i runs from 1 to n, and n to 999999")
    return int(i), int(n)


def read_cells(text: int | str) -> tuple[int, ...]:
    """Numbers of cells, from 0: 3, "3", "0-9,12"; each once, in order; raises UsageError."""
    found: set[int] = set()
    for part in str(text).split(","):
        first, dash, last = part.partition("-")
        ends = [first, last if dash else first]
        if not all(end.isdecimal() and len(end) <= 6 for end in ends) or int(ends[0]) > int(ends[1]):
            raise UsageError(f"--cell {str(text)[:40]}: write it as 3, or 0-9,12; cells are counted from 0")
        found.update(range(int(ends[0]), int(ends[1]) + 1))
    return tuple(sorted(found))


def part_of(cell: int | str | None, shard: str | None, *, plan: bool, judge: bool) -> Part:
    """The part that the flags ask for; a UsageError for two of them, or a shard that is not `i/n`."""
    given = {"--cell": cell is not None, "--shard": shard is not None, "--plan": plan, "--judge": judge}
    flags = [flag for flag, there in given.items() if there]
    if len(flags) > 1:
        raise UsageError(f"{' and '.join(flags[:2])} exclude each other; give one")
    if cell is not None:
        numbers = read_cells(cell)
        cell = numbers[0] if len(numbers) == 1 else cell
    return Part(cell, None if shard is None else read_shard(shard), PLAN if plan else JUDGE if judge else "")
