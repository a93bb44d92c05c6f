"""Results on stdout, everything else on stderr; JSON is exactly one document."""

import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from gangda.cli import output


def test_json_is_one_document_without_nan(capsys):
    values = {"a": math.nan, "b": [math.inf, 1.5, (2, None)], "c": Path("x/y"), "d": True}
    output.Terminal(json=True, command="train").result(values, lambda *_: pytest.fail("tables and JSON"))
    assert json.loads(capsys.readouterr().out) == {
        "format_version": 1,
        "subcommand": "train",
        "a": None,
        "b": [None, 1.5, [2, None]],
        "c": "x/y",
        "d": True,
    }


def test_quiet_reporter_says_nothing(capsys):
    with output.Terminal(quiet=True).reporter() as reporter:
        reporter.line("chosen: x")
        reporter.step("training", 1, 2)
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def ten_o_clock(monkeypatch):
    monkeypatch.setattr(output.time, "strftime", lambda form: "10:00:00")


def test_lines_now_and_then(capsys, ten_o_clock):
    now = [0.0]
    reporter = output.LineReporter(clock=lambda: now[0])
    reporter.line("a remark")
    for second in range(0, 61):
        now[0] = second
        reporter.step("training", 50 * second, 4000, "90 images/s")
    assert capsys.readouterr().err.splitlines() == [
        "a remark",
        "10:00:00 training: 1,000 of 4,000 (25%), 90 images/s, 1 min 0 s left",
        "10:00:00 training: 2,000 of 4,000 (50%), 90 images/s, 40 s left",
        "10:00:00 training: 3,000 of 4,000 (75%), 90 images/s, 20 s left",
    ]


def test_a_remark_comes_once_and_only_with_progress(capsys, ten_o_clock):
    now = [0.0]
    reporter = output.LineReporter("busy", clock=lambda: now[0])
    reporter.line("chosen: x")
    reporter.step("training", 0, 4000)
    assert capsys.readouterr().err == "chosen: x\n"
    for second in (21, 42):
        now[0] = second
        reporter.step("training", second, None)
    assert capsys.readouterr().err.splitlines() == [
        "busy", "10:00:00 training: 21", "10:00:00 training: 42",
    ]  # fmt: skip
    screen = io.StringIO()
    with Progress(console=Console(file=screen, force_terminal=True, width=80)) as bar:
        reporter = output.BarReporter(bar, "busy")
        reporter.step("training", 10, 40)
        reporter.step("training", 20, 40)
    assert screen.getvalue().count("busy") == 1


def test_time_left_of_a_continued_task_counts_this_sitting_only(capsys, ten_o_clock):
    now = [0.0]
    reporter = output.LineReporter(clock=lambda: now[0])
    for second in range(0, 21):
        now[0] = second
        reporter.step("training", 3000 + 5 * second, 4000)
    assert capsys.readouterr().err.splitlines() == ["10:00:00 training: 3,100 of 4,000 (77%), 3 min 0 s left"]


def test_a_longer_task_says_what_it_took_once_and_begins_anew(capsys, ten_o_clock):
    now = [0.0]
    reporter = output.LineReporter(clock=lambda: now[0])
    for second, done in ((0, 0), (30, 3), (45, 4), (45, 4), (46, 0), (50, 4), (60, 0), (85, 4)):
        now[0] = float(second)
        reporter.step("cells", done, 4, "seed 0")
    assert capsys.readouterr().err.splitlines() == [
        "10:00:00 cells: 3 of 4 (75%), seed 0, 10 s left",
        "10:00:00 cells: 4 of 4 (100%), seed 0, took 45 s",
        "10:00:00 cells: 4 of 4 (100%), seed 0, took 25 s",
    ]


def test_lines_of_a_job_name_their_node(capsys, ten_o_clock, monkeypatch):
    monkeypatch.setenv("SLURMD_NODENAME", "node07")
    now = [0.0]
    reporter = output.LineReporter(clock=lambda: now[0])
    for second in (0, 20):
        now[0] = float(second)
        reporter.step("training", second, 40)
    assert capsys.readouterr().err == "10:00:00 node07 training: 20 of 40 (50%), 20 s left\n"


def test_lines_without_a_total(capsys, ten_o_clock):
    now = [0.0]
    reporter = output.LineReporter(clock=lambda: now[0])
    reporter.step("drawing", 0, None)
    now[0] = 21.0
    reporter.step("drawing", 1234, None)
    assert capsys.readouterr().err == "10:00:00 drawing: 1,234\n"


def test_bar_moves_and_keeps_remarks():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80)
    with Progress(console=console) as bar:
        reporter = output.BarReporter(bar)
        reporter.line("run [3] of 5")
        reporter.step("training", 10, 40, "7 images/s")
        reporter.step("training", 20, 40)
        assert [(task.completed, task.total) for task in bar.tasks] == [(20, 40)]
    assert "run [3] of 5" in screen.getvalue()


def test_table_keeps_brackets_and_aligns_numbers():
    screen = io.StringIO()
    output.Screen(Console(file=screen, width=60)).draw("T", ("class", "n"), [("a [b]", 5), ("c", 10)])
    lines = screen.getvalue().splitlines()
    assert any("a [b]" in line for line in lines)
    ends = [line.rstrip() for line in lines if line.rstrip().endswith(("5", "10"))]
    assert len({len(line) for line in ends}) == 1


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        (math.nan, "-"),
        (3, "3"),
        (12345, "12,345"),
        (0.12345, "0.123"),
        (1234.56, "1,234.6"),
        (0.0, "0.000"),
        (-0.00012345, "-0.000123"),
    ],
)
def test_number(value, shown):
    assert output.number(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.2, "0 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_duration(seconds, shown):
    assert output.duration(seconds) == shown


def test_percent_and_interval():
    assert output.percent(0.8734) == "87.3%"
    assert output.percent(None) == "-"
    assert output.interval((0.5, 0.75), output.percent) == "50.0% to 75.0%"
    assert output.interval(None) == "-"


def test_at_eighty_columns_no_word_is_broken_and_no_name_cut():
    name, wide = "generated+traditional - traditional", "+0.12 to +1.20"
    head = ("contrast", "verdict", "difference", "interval", "margin", "p", "adjusted p")
    rows = [(name, "better on this test set but negligible", "+0.66", wide, "0.50", "0.0312", "0.0312")]
    for width in (40, 60, 80, 200):
        screen = io.StringIO()
        output.Screen(Console(file=screen, width=width)).draw("T", head, rows, left=2)
        lines = screen.getvalue().splitlines()
        assert max(map(len, lines)) <= width
        printed = screen.getvalue().replace(";", " ")
        assert "…" not in printed
        assert all(word in printed.split() for word in (*name.split(), "negligible", "+1.20"))


def test_a_wide_column_alone_is_wrapped():
    screen = io.StringIO()
    rows = [("cdcgan", "a long sentence about what it is and is not", "yes")]
    output.Screen(Console(file=screen, width=40)).draw("T", ("name", "what it is", "labels"), rows, left=2)
    assert "cdcgan" in screen.getvalue()
    assert max(map(len, screen.getvalue().splitlines())) <= 40
    assert screen.getvalue().split()[:1] == ["T"]


def test_colours_only_repeat_what_words_say():
    def printed(**how):
        screen = io.StringIO()
        shown = output.Screen(Console(file=screen, width=80, **how))
        shown.draw("T", ("a", "b"), [("x", "worse")])
        shown.say("ALARM: noise")
        return screen.getvalue()

    plain, coloured = printed(), printed(force_terminal=True, color_system="standard")
    assert "\x1b[31m" in coloured
    assert "\x1b" not in plain
    assert "\x1b[31m" not in printed(force_terminal=True, no_color=True)
    assert "worse" in plain
    assert "ALARM: noise" in plain


def test_the_signal_is_answered_at_once(capfd):
    import os
    import signal

    from gangda.runtime.signals import stop_request

    with output.Terminal().reporter(), stop_request() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop
        assert "stopping, saving ... (another Ctrl-C ends it at once)" in capfd.readouterr().err
    with output.Terminal(quiet=True).reporter(), stop_request() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop
        assert capfd.readouterr().err == ""


def test_curves_are_small_pictures_in_a_bar():
    screen = io.StringIO()
    console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), force_terminal=True, width=80)
    with Progress(console=console) as bar:
        reporter = output.BarReporter(bar)
        reporter.curve("training", "g_loss", [3.0, 2.0, 1.0])
        reporter.step("training", 0.7, 1)
        assert [task.fields["curve"] for task in bar.tasks] == ["g_loss █▅▁"]
        assert bar.tasks[0].fields["share"] == "0 of 1 (70%)"
    assert screen.getvalue() == ""
