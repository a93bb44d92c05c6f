import pytest

from gangda.errors import UsageError
from gangda.runtime.part import WHOLE, Part, part_of, read_shard


def asked(**flags):
    return part_of(**{"cell": None, "shard": None, "plan": False, "judge": False, **flags})


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 20])
def test_shards_share_out_all_cells(parts):
    shards = [asked(shard=f"{i}/{parts}").numbers(11) for i in range(1, parts + 1)]
    assert sorted(number for numbers in shards for number in numbers) == list(range(11))
    assert max(map(len, shards)) - min(map(len, shards)) <= 1


def test_only_the_whole_and_the_judge_judge():
    assert asked() == WHOLE
    assert list(WHOLE.numbers(3)) == [0, 1, 2]
    assert [part.judges for part in (WHOLE, asked(judge=True), asked(plan=True))] == [True, True, False]
    assert not asked(cell=1).judges
    assert not asked(shard="1/1").judges
    assert not asked(judge=True).numbers(3)
    assert not asked(plan=True).numbers(3)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"cell": 0, "judge": True}, "--cell and --judge exclude each other"),
        ({"plan": True, "judge": True}, "--plan and --judge exclude each other"),
        ({"cell": 0, "shard": "1/2"}, "--cell and --shard exclude each other"),
        ({"shard": "0/2"}, "--shard 0/2"),
        ({"shard": "3/2"}, "--shard 3/2"),
        ({"shard": "2"}, "--shard 2: write it as 2/8"),
        ({"shard": "a/b"}, "--shard a/b"),
    ],
)
def test_wrong_parts_are_refused(flags, said):
    with pytest.raises(UsageError, match=said):
        asked(**flags)


def test_several_cells_are_numbers_and_ranges_from_0():
    assert asked(cell="3") == Part(cell=3)
    assert list(asked(cell="0-2,7,1").numbers(8)) == [0, 1, 2, 7]
    with pytest.raises(UsageError, match="--cell 7: the plan has cells 0 to 3"):
        asked(cell="0-2,7").numbers(4)
    for wrong in ("", "a", "3-1", "-1", "1,,2", "0-", "1.5"):
        with pytest.raises(UsageError, match="cells are counted from 0"):
            asked(cell=wrong)


def test_shards_are_read():
    assert read_shard("2/7") == (2, 7)
