"""The same for what commands leave of results: a right one is reprinted, or it is refused as a GangdaError."""

import json
import re
from dataclasses import asdict

import numpy as np
import pytest
from damage import as_json, other_values, spoilt, write
from test_fuzz import depths, fuzz, refused_or_read

from gangda.classifying import classify
from gangda.classifying.ensemble import ClassifierEnsemble, cached_ensemble
from gangda.classifying.fit import fit_classifier
from gangda.comparing.plan import digest
from gangda.comparing.sweeps.experiment_plan import claim
from gangda.config.schema import ClassifierConfig, DataConfig, Runtime
from gangda.data import cache
from gangda.data.sources.raw import RawSource
from gangda.runtime.feature_cache import FeatureCache
from gangda.runtime.progress import SILENT
from gangda.scoring import score
from gangda.scoring.rating_page import make_page
from gangda.scoring.ratings import MARK, read_answers, summarise_ratings

pytestmark = pytest.mark.faults

RUNTIME = Runtime(seed=3, threads=1, device="cpu", precision="fp32")
DATA = DataConfig(per_class=6)
TINY = ClassifierConfig(classifier_steps=2, classifier_batch=8)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    path = tmp_path_factory.mktemp("samples") / "set.npz"
    rng = np.random.default_rng(0)
    np.savez(path, images=rng.integers(0, 255, (40, 8, 8), np.uint8), labels=np.arange(40) % 10)
    return path


def reprinted_or_refused(path, again, depth):
    """The command again, on its own result with other bytes in it."""
    good, first = path.read_bytes(), again().as_dict()

    def check(data):
        write(path, data)
        with refused_or_read:
            assert again().as_dict() == {**first, "reprinted": True}

    check(good)
    fuzz(depth, spoilt(good), check)
    fuzz(depth, other_values(json.loads(good)).map(as_json), check)


@depths
def test_evaluation(tmp_path, depth):
    out = tmp_path / "out"

    def again():
        return classify("digits", None, DATA, TINY, None, 2, RUNTIME, out)

    again()
    reprinted_or_refused(out / "evaluation.json", again, depth)


@depths
def test_scores(tmp_path, depth, samples, monkeypatch):
    monkeypatch.setenv("GANGDA_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "scores" / "a"

    def again():
        return score(samples, DATA, TINY, RUNTIME, out, metrics=("diversity", "precision_recall"))

    again()
    reprinted_or_refused(out / "scores.json", again, depth)


@pytest.fixture(scope="module")
def answers(samples, tmp_path_factory):
    """A rating page's answers: all images, both questions."""
    place = tmp_path_factory.mktemp("page")
    make_page([samples], DATA, RUNTIME, place / "page.html", images=4)
    text = (place / "page.html").read_text()
    data = json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1]
    )
    lines = [MARK + data["key"], "image,question,answer"]
    lines += [
        f"{image['id']},{question}" for image in data["images"] for question in ("quality,7", "label,yes")
    ]
    return "\n".join(lines).encode()


@depths
def test_ratings(tmp_path, depth, answers):
    path = tmp_path / "a.csv"
    write(path, answers)
    right = {(answer.set[0], answer.label) for answer in read_answers(path)}

    def check(data):
        write(path, data)
        with refused_or_read:
            assert {(answer.set[0], answer.label) for answer in read_answers(path)} <= right
            json.dumps(asdict(summarise_ratings([path], tmp_path)), allow_nan=False)

    fuzz(depth, spoilt(answers), check)
    words = answers.decode().splitlines()
    for row in ('"', "a\0b,quality,1", "x" * 200_000 + ",quality,1", words[2] + ',"', '"' + "\n" * 9):
        check("\n".join([*words[:2], row]).encode())


@depths
def test_the_scores_that_ratings_are_set_against(tmp_path, depth, answers, samples, monkeypatch):
    monkeypatch.setenv("GANGDA_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "a.csv", answers)
    score(samples, DATA, TINY, RUNTIME, tmp_path / "scores" / "a", metrics=("diversity",))
    path = tmp_path / "scores" / "a" / "scores.json"
    good = path.read_bytes()
    first = asdict(summarise_ratings([tmp_path / "a.csv"], tmp_path / "scores"))

    def check(data):
        write(path, data)
        found = asdict(summarise_ratings([tmp_path / "a.csv"], tmp_path / "scores"))
        assert found["sets"] == first["sets"]
        assert found["notes"] == first["notes"] or f"passed over: {path}" in " ".join(found["notes"])

    fuzz(depth, spoilt(good), check)
    fuzz(depth, other_values(json.loads(good)).map(as_json), check)


@depths
def test_plan_of_an_experiment_over_settings(tmp_path, depth):
    fixed = {"experiment": "mine", "measure": "score", "variants": {"00-a": {"name": "a", "plan": "1"}}}
    claim(fixed, [], tmp_path, dry_run=False)
    path = tmp_path / "plan.json"
    good = path.read_bytes()

    def check(data):
        write(path, data)
        with refused_or_read:
            claim(fixed, [], tmp_path, dry_run=False)
            # Its metrics may be brought up to date.
            now, before = json.loads(path.read_bytes()), json.loads(data)
            assert now["fixed"] == before["fixed"]
            assert now["hash"] == before["hash"] == digest(fixed)
            write(path, data)
        assert path.read_bytes() == data  # the folder of another experiment stays as it is

    fuzz(depth, spoilt(good), check)
    fuzz(depth, other_values(json.loads(good)).map(as_json), check)


@depths
def test_a_cached_ensemble(tmp_path, depth, context, blobs):
    folder = tmp_path / "sorter"
    fitted = fit_classifier(blobs, TINY, seed=0, context=context)
    fresh = ClassifierEnsemble((fitted,), 0.5)

    def asked(fit):
        return cached_ensemble(folder, ("first",), "agreement", TINY, context, fit, SILENT)

    asked(lambda: fresh)
    path = folder / "sorter.json"
    good, again = path.read_bytes(), ClassifierEnsemble((fitted,), 0.25)

    def check(data):
        write(path, data)
        panel = asked(lambda: again)
        assert panel is again or panel.share == fresh.share
        assert panel.members[0].fingerprint == fitted.fingerprint

    check(good)
    fuzz(depth, spoilt(good), check)
    fuzz(depth, other_values(json.loads(good)).map(as_json), check)


@depths
@pytest.mark.parametrize("ending", [".json", ".npy"])
def test_the_cache_of_decoded_images(tmp_path, depth, monkeypatch, ending):
    """Whatever becomes of it: the images and labels are those that were decoded."""
    monkeypatch.setenv("GANGDA_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    decoded = RawSource(
        rng.integers(0, 255, (12, 8, 8, 1), np.uint8),
        np.arange(12) % 3,
        ("a", "b", "c"),
        np.arange(4),
        ("n",),
    )

    def asked():
        return cache.cached(["a file"], None, lambda: decoded)

    asked()
    [path] = (tmp_path / "cache").rglob(f"*{ending}")
    good = path.read_bytes()

    def check(data):
        write(path, data)
        found = asked()
        assert np.array_equal(found.pixels, decoded.pixels)
        assert found.labels.tolist() == decoded.labels.tolist()
        assert (found.class_names, found.notes) == (decoded.class_names, decoded.notes)
        assert found.test_rows.tolist() == decoded.test_rows.tolist()

    fuzz(depth, spoilt(good), check)
    if ending == ".json":
        fuzz(depth, other_values(json.loads(good)).map(as_json), check)


@depths
def test_the_cache_of_features(tmp_path, depth):
    features = np.random.default_rng(0).normal(size=(5, 3))
    kept = FeatureCache(tmp_path)
    kept.get(("a",), lambda: features)
    [path] = [path for path in tmp_path.iterdir() if path.is_file()]

    def check(data):
        write(path, data)
        assert np.array_equal(kept.get(("a",), lambda: features), features)

    fuzz(depth, spoilt(path.read_bytes()), check)
