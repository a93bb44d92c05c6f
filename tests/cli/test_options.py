"""Flags come from the configurations; what goes wrong is one line and an exit code."""

import dataclasses
import inspect
import os
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from gangda.cli import group, main, options
from gangda.config import commands, files, schema
from gangda.config.commands import Subcommand
from gangda.config.fields import option
from gangda.errors import IncompleteError, RunError, StoppedError
from gangda.runtime import machine

COMMANDS = {
    "train": ["data", "arch", "recipe", "method", "budget", "runtime"],
    "sample": ["sample", "sampler", "runtime"],
    "augment": ["data", "augment", "sampler", "transforms", "classifier", "runtime"],
    "classify": ["classifier", "transforms", "runtime"],
    "score": ["data", "score", "classifier", "runtime"],
    "compare": [
        "data",
        "compare",
        "arch",
        "recipe",
        "method",
        "budget",
        "sampler",
        "transforms",
        "classifier",
        "runtime",
    ],
}
SHARED = ("--seed", "--device", "--precision", "--threads", "--config", "--json", "--quiet", "--dry-run")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_every_field_and_the_shared_options(gangda, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    help = gangda(command, "--help-all").out
    for section in COMMANDS[command]:
        for name, flag in options.section_flags(section).items():
            left_out = f"{section}.{name}" in commands.COMMANDS[command].without
            assert (_typed(flag) in help) != left_out
    assert all(flag in help for flag in SHARED)


@pytest.mark.parametrize("command", main.COMMANDS)
def test_help_is_short_and_leads_to_the_rest(gangda, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    short, whole = gangda(command, "--help").out, gangda(command, "--help-all").out
    asked = main.COMMANDS[command]
    assert len(short.splitlines()) <= 65
    assert len(asked.shown) <= 17
    assert all(f"  {flag}" in short and f"  {flag}" in whole for flag in asked.shown)
    assert all(words in short for words, _ in asked.examples)
    assert "Examples:" in short
    assert "Examples:" not in whole
    assert "--help-all" in short


@pytest.mark.parametrize("command", main.COMMANDS)
def test_there_are_two_examples_or_more_and_all_are_understood(command):
    assert len(main.COMMANDS[command].examples) >= 2
    for line, _ in main.COMMANDS[command].examples:
        program, name, *words = line.split()
        assert (program, name) == ("gangda", command)
        with main.command(command).make_context(command, words, resilient_parsing=False) as context:
            assert not context.args


def _typed(flag):
    [option] = flag.annotation.__metadata__
    return option.default.partition("/")[0]


@pytest.mark.parametrize("sections", COMMANDS.values(), ids=COMMANDS)
def test_no_two_flags_of_a_command_are_called_the_same(sections):
    flags = [_typed(flag) for section in sections for flag in options.section_flags(section).values()]
    assert len(flags) == len(set(flags))


def test_defaults_are_shown_for_each_architecture(gangda):
    help = " ".join(gangda("train", "--help-all").out.split())
    assert "[default: 3 for madgan, mixture-gan; 5 for madgan-separate]" in help
    assert "[default: 64]" in help
    assert "[default: 0.999]" in help


def probe(sections, *words, body=None):
    """Run a throw-away command and return the `Call` it got."""
    seen = []
    small = typer.Typer(cls=group.Group, pretty_exceptions_enable=False)
    small.callback()(lambda: None)

    def look(call):
        seen.append(call)
        if body:
            body()

    options.register(small, look, Subcommand("", tuple(sections)))
    done = CliRunner().invoke(small, ["look", *words])
    return (seen[0] if seen else None), done


def test_flags_reach_the_settings_with_their_origin():
    call, _ = probe(
        ["data", "runtime"], "--per-class", "7", "--seed", "3", "--no-download", "--dry-run", "--json"
    )
    assert call.settings.data == schema.DataConfig(per_class=7)
    assert call.settings.runtime.seed == 3
    assert call.settings.origins["data.per_class"] == "flag"
    assert call.settings.origins["data.image_size"] == "default"
    assert (call.dry_run, call.terminal.json, call.terminal.quiet) == (True, True, False)


def test_flag_over_environment_over_file(tmp_path, monkeypatch):
    path = tmp_path / "c.yaml"
    path.write_text("runtime: {seed: 1, threads: 1}\nrecipe: {batch_size: 32}\n")
    monkeypatch.setenv("GANGDA_SEED", "2")
    call, _ = probe(["recipe", "runtime"], "--config", str(path))
    assert (call.settings.runtime.seed, call.settings.runtime.threads) == (2, 1)
    assert call.settings.recipe.batch_size == 32
    call, _ = probe(["runtime"], "--config", str(path), "--seed", "3")
    assert call.settings.runtime.seed == 3


def test_off_switch_beats_the_file(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("augment: {balance: true}\n")
    call, _ = probe(["augment"], "--config", str(path), "--no-balance")
    assert call.settings.augment.balance is False


def test_a_new_field_is_a_new_flag(monkeypatch):
    @dataclasses.dataclass(frozen=True)
    class Wider(schema.Runtime):
        gpus: int = option(1, "how many", minimum=1)

    monkeypatch.setitem(files.SECTIONS, "runtime", Wider)
    call, _ = probe(["runtime"], "--gpus", "2")
    assert call.settings.runtime.gpus == 2


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (RunError("a folder: taken\nby another"), 1, "gangda: a folder: taken by another"),
        (IncompleteError("cells 3, 4 are missing"), 3, "gangda: cells 3, 4 are missing"),
        (StoppedError("saved; run the same command again"), 75, "gangda: saved; run the same command again"),
        (KeyboardInterrupt(), 130, "gangda: interrupted"),
        (MemoryError(), 1, "gangda: out of memory: use a smaller --batch-size"),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
            1,
            "gangda: out of",
        ),
    ],
)
def test_errors_are_one_line_and_their_exit_code(raised, code, line):
    def body():
        raise raised

    _, done = probe(["recipe"], body=body)
    assert done.exit_code == code
    assert done.stderr.strip().startswith(line)
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_the_unexpected_is_not_hidden():
    def body():
        raise RuntimeError("a defect")

    _, done = probe(["runtime"], body=body)
    assert isinstance(done.exception, RuntimeError)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["trian"], "gangda: no command is called 'trian': did you mean 'train'? see 'gangda --help'"),
        (["generate"], "gangda: no command is called 'generate': did you mean 'sample'?"),
        (["train", "--stepps", "3"], "gangda: gangda train has no --stepps: did you mean '--steps'? see"),
        (["train", "--gpu"], "gangda: gangda train has no --gpu: did you mean --device cuda?"),
        (["compare", "--metric", "f1"], "gangda: gangda compare has no --metric: did you mean --score-by?"),
        (
            ["sample", "--run", "r"],
            "gangda: gangda sample has no --run: did you mean gangda sample RUN, without it?",
        ),
        (
            ["classify", "--data", "d"],
            "gangda: gangda classify has no --data: did you mean gangda classify SET, without it?",
        ),
        (["train", "--metrics", "fid"], "gangda: gangda train has no --metrics: gangda score has --metrics"),
        (["--colour"], "gangda: no such option: --colour (see 'gangda --help')"),
        (["train", "--steps"], "gangda: Option '--steps' requires an argument."),
        (["sample"], "gangda: Missing argument 'RUN'"),
        (
            ["train", "icons"],
            "gangda: gangda train does not know what to do with 'icons': did you mean --data icons?",
        ),
        (
            ["compare", "flow"],
            "gangda: gangda compare does not know what to do with 'flow': did you mean --arch flow?",
        ),
        (
            ["compare", "tails", "x"],
            "gangda: gangda compare does not know what to do with 'tails': did you mean --exp",
        ),
        (
            ["compare", "--balance", "0.5"],
            "gangda: gangda compare does not know what to do with '0.5': did you mean --fill",
        ),
        (["classify", "a", "b"], "gangda: gangda classify does not know what to do with 'b' (see"),
        (["compare", "--arms", "gan,real"], "gangda: --arms gan: no such arm; did you mean 'generated'?"),
        (
            ["compare", "--arms", "flow,real"],
            "gangda: --arms flow: no such arm; did you mean 'generated@flow'?",
        ),
        (["score", "x", "--metrics", "f1"], "gangda: --metrics f1: did you mean 'cas'?"),
        (["classify", "x", "--repeats", "0"], "gangda: Invalid value for '--repeats'"),
        (["compare", "--fresh", "10"], "gangda: --fresh is now called --synthetic-passes\n"),
        (["compare", "--no-anneal"], "gangda: --no-anneal is now called --no-anneal-synthetic-weight\n"),
        (["train", "--fresh=10"], "gangda: gangda train has no --fresh: "),
    ],
)
def test_mistyped(gangda, words, line):
    answer = gangda(*words)
    assert answer.code == 2
    assert answer.err.startswith(line)
    assert answer.err.count("\n") == 1


def test_a_run_folder_typed_without_its_flag_is_known_as_one(gangda, tmp_path):
    (tmp_path / "run.json").write_text("{}")
    answer = gangda("augment", str(tmp_path))
    assert answer.code == 2
    assert f"did you mean --run {tmp_path}?" in answer.err


@pytest.mark.parametrize("flag", ["--n", "--num", "--num-samples"])
def test_the_number_of_samples_by_other_names(gangda, flag):
    answer = gangda("sample", "run", flag, "10")
    assert answer.err == f"gangda: gangda sample has no {flag}: did you mean --per-class?\n"


def test_without_words_it_tells_what_it_is(gangda):
    answer = gangda()
    assert answer.code == 0
    assert "compare" in answer.out


def test_version(gangda):
    assert gangda("--version").out.startswith("gangda 0.")


@pytest.mark.parametrize("command", main.COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(gangda, command):
    summary = main.COMMANDS[command].summary
    assert inspect.getdoc(main.command(command).callback).splitlines()[0] == summary
    assert " ".join(summary.split()) in " ".join(gangda("--help").out.split())


def test_options_are_listed_under_headings_and_in_order(gangda):
    lines = gangda("train", "--help-all").out.splitlines()
    headings = [line for line in lines if line and not line.startswith((" ", "Usage"))]
    assert headings[:3] == ["Options:", "Data:", "Architecture:"]
    assert lines.index("Data:") < next(
        i for i, line in enumerate(lines) if line.startswith("  --data <text>")
    )
    assert not any("\\" in line for line in lines)


@pytest.mark.parametrize("words", [("train", "--list"), ("train", "--help"), ("doctor", "--json")])
def test_a_reader_that_leaves_is_no_error(words):
    code = "from gangda.cli.main import main; main()"
    environ = {**os.environ, "PYTHONUNBUFFERED": ""}
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            stdout=closed,
            stderr=subprocess.PIPE,
            env=environ,
            timeout=120,
        )
    assert done.stderr == b""
    assert done.returncode == 0


WATCHED = """
import os, sys
from gangda.runtime import machine

class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            print("policy", os.environ.get("OMP_WAIT_POLICY"), file=sys.stderr)

def is_busy(threads):
    print("threads", threads, file=sys.stderr)
    return {busy}

machine.is_busy = is_busy
sys.meta_path.insert(0, Watch())
from gangda.cli.main import app
app({words}, prog_name="gangda")
"""


@pytest.mark.parametrize(("busy", "policy"), [(True, "PASSIVE"), (False, "None")])
def test_how_threads_wait_is_settled_before_torch_reads_it(tmp_path, busy, policy):
    """Of the threads that a configuration file asks for."""
    (tmp_path / "few.yaml").write_text("format_version: 1\nruntime:\n  threads: 3\n")
    words = ["train", "--data", "digits", "--steps", "1", "--config", "few.yaml", "--dry-run"]
    environ = {name: value for name, value in os.environ.items() if name not in machine.POLICIES}
    code = WATCHED.format(busy=busy, words=words)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    watched = [line for line in done.stderr.splitlines() if line.startswith(("threads", "policy"))]
    assert watched[:2] == ["threads 3", f"policy {policy}"]
