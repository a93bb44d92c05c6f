"""The blind page and what raters' answers say, from sets that are on disk to the table."""

import csv
import json
import re
from dataclasses import asdict

import numpy as np
import pytest

from gangda.config.schema import DataConfig, Runtime
from gangda.data.loading import load_splits
from gangda.errors import DataError, UsageError
from gangda.runtime.hashed_file import write_hashed_json
from gangda.scoring.loading import align, read_samples
from gangda.scoring.rating_page import REAL_NAME, Key, make_page, rendered, spread_rows
from gangda.scoring.ratings import read_answers, summarise_ratings

DATA = DataConfig(per_class=20)
RUNTIME = Runtime(seed=3, threads=1, device="cpu", precision="fp32")
IMAGES = 12


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Four sets of digits, ever noisier."""
    folder = tmp_path_factory.mktemp("sets")
    spare = load_splits(DataConfig(validation=0.3), 5).validation
    for number in range(4):
        noise = np.random.default_rng(number).normal(0, 40 * number, spare.pixels.shape)
        pixels = np.clip(spare.pixels + noise, 0, 255).astype(np.uint8)
        np.savez(folder / f"cell{number}.npz", images=pixels, labels=spare.labels)
    return [folder / f"cell{number}.npz" for number in range(4)]


def page_of(sets, out, **more):
    result = make_page(sets, DATA, RUNTIME, out, images=IMAGES, **more)
    text = out.read_text() if out.exists() else ""
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return result, text, json.loads(data[1]) if data else None


@pytest.fixture(scope="module")
def page(sets, tmp_path_factory):
    return page_of(sets, tmp_path_factory.mktemp("page") / "rating.html")


def answers(path, data, quality, label=None):
    """What the page's own script writes: `quality` and `label` give the answer from (set, intended label)."""
    key = Key.decoded(data["key"])
    lines = [f"# gangda ratings {data['key']}", "image,question,answer"]
    for question, choose in (("quality", quality), ("label", label)):
        for image in data["images"] if choose else ():
            lines.append(f"{image['id']},{question},{choose(*key.images[image['id']])}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_page_is_one_file_that_asks_nobody(page):
    _, text, data = page
    assert "default-src 'none'" in text
    assert not re.search(r"(src|href)=\"?https?:|@import|fetch\(|XMLHttpRequest", text)
    assert all(image["src"].startswith("data:image/png;base64,") for image in data["images"])


def test_every_set_and_the_real_images_are_on_the_page_equally_often(page, sets):
    result, _, data = page
    assert [one["images"] for one in result.sets] == [IMAGES] * 5
    assert result.sets[-1]["name"] == REAL_NAME
    assert len({image["id"] for image in data["images"]}) == len(data["images"]) == 5 * IMAGES


def test_the_rater_cannot_read_which_set_an_image_is_from(page, sets):
    _, text, data = page
    assert set(data["images"][0]) == {"id", "name", "src"}
    assert not any(path.name in text or path.stem in text for path in sets)
    assert REAL_NAME not in text
    key = Key.decoded(data["key"])
    order = [key.images[image["id"]][0] for image in data["images"]]
    assert order != sorted(order)
    assert np.abs(np.diff(order)).mean() > 1  # mixed: in blocks it would be 4 / 59


def test_same_seed_same_page(sets, page, tmp_path):
    assert page_of(sets, tmp_path / "again.html")[1] == page[1]


def test_shown_images_are_those_of_the_set_and_spread_over_classes(page, sets):
    data = page[2]
    key = Key.decoded(data["key"])
    for number in range(5):
        labels = [label for which, label in key.images.values() if which == number]
        assert np.bincount(labels, minlength=10).min() >= 1
        assert max(np.bincount(labels)) == 2


def test_rows_of_scarce_classes_come_first():
    labels = np.array([0] * 50 + [1] * 3)
    rows = spread_rows(labels, 8, np.random.default_rng(0))
    assert np.bincount(labels[rows]).tolist() == [5, 3]


def test_a_class_name_cannot_end_the_script(tmp_path):
    pixels = np.zeros((8, 8, 1), np.uint8)
    text = rendered([("ab", "</script><b>", pixels)], "key", labelled=True)
    assert "</script><b>" not in text


def test_means_spreads_and_labels_come_back(page, tmp_path):
    data = page[2]
    file = answers(
        tmp_path / "a.csv", data, lambda which, label: 10 - 2 * which if which < 4 else 9,
        lambda which, label: "no" if label == 7 and which == 1 else "yes",
    )  # fmt: skip
    other = answers(tmp_path / "b.csv", data, lambda which, label: 9 - 2 * which if which < 4 else 10)
    values = asdict(summarise_ratings([file, other], tmp_path))
    rows = {row["name"]: row for row in values["sets"]}
    assert [rows[f"cell{i}.npz"]["mean"] for i in range(4)] == [9.5, 7.5, 5.5, 3.5]
    assert rows["cell0.npz"]["n"] == 2 * IMAGES
    assert rows["cell0.npz"]["raters"] == 2
    # Twelve tens and twelve nines: each half a point off, 24 * 0.25 / 23.
    assert rows["cell0.npz"]["sd"] == pytest.approx((24 * 0.25 / 23) ** 0.5)
    shown = sum(1 for which, label in Key.decoded(data["key"]).images.values() if (which, label) == (1, 7))
    assert rows["cell1.npz"]["right"] == pytest.approx(1 - shown / IMAGES)
    seven = next(row for row in values["classes"] if row["name"] == "7")
    assert seven["labels"] - seven["right"] * seven["labels"] == pytest.approx(shown)
    assert not any("rated no better" in note for note in values["notes"])


def test_agreement_with_the_automatic_scores(page, sets, tmp_path):
    splits = load_splits(DATA, 3)
    for number, path in enumerate(sets):
        images, _ = align(*read_samples(path, None, splits), path)
        metrics = [
            {"name": "gan_test_10", "value": 0.9 - 0.1 * number, "direction": "higher"},
            {"name": "fid_lenet_10", "value": float([1, 3, 2, 4][number]), "direction": "lower"},
        ]
        write_hashed_json(
            tmp_path / "scores" / str(number) / "scores.json",
            {"hashes": {"samples": images.content_hash()}, "metrics": metrics},
        )
    file = answers(tmp_path / "a.csv", page[2], lambda which, label: 9 - 2 * which if which < 4 else 10)
    values = asdict(summarise_ratings([file], tmp_path / "scores"))
    found = {row["metric"]: row for row in values["agreement"]}
    assert found["gan_test_10"]["spearman"] == pytest.approx(1.0)
    assert found["fid_lenet_10"]["spearman"] == pytest.approx(-0.8)  # 1 - 6 * 2 / (4 * 15), turned round
    assert found["fid_lenet_10"]["n"] == 4
    one = tmp_path / "scores" / "2" / "scores.json"
    one.write_text(one.read_text().replace("0.7", "0.8", 1))  # GAN-test: a digit that flipped
    values = asdict(summarise_ratings([file], tmp_path / "scores"))
    assert {row["n"] for row in values["agreement"]} == {3}
    assert any(str(one) in note and "its hash does not match" in note for note in values["notes"])


def test_too_few_scored_sets_and_a_rater_who_did_not_look_are_said(page, tmp_path):
    file = answers(tmp_path / "a.csv", page[2], lambda which, label: 5)
    values = asdict(summarise_ratings([file], tmp_path))
    assert values["agreement"] == ()
    text = " ".join(values["notes"])
    assert "0 of 4 sets have automatic scores" in text
    assert "rated no better" in text


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda lines: lines[1:], "not the answers of a rating page"),
        (lambda lines: [lines[0][:-20], *lines[1:]], "key is damaged"),
        (lambda lines: [lines[0], "a,b,c", *lines[2:]], "line 2 must be"),
        (lambda lines: [*lines[:2], "00ffee,quality,3"], "line 3: '00ffee' is no image"),
        (lambda lines: [*lines[:2], lines[2].rsplit(",", 1)[0] + ",11"], "is no answer"),
        (lambda lines: [*lines[:2], lines[2].rsplit(",", 1)[0] + ",nan"], "is no answer"),
        (lambda lines: [*lines[:3], lines[2]], "line 4: .* answered twice"),
        (lambda lines: lines[:2], "holds no answers"),
    ],
)
def test_damaged_answers_are_refused_with_the_line(page, tmp_path, change, complaint):
    file = answers(tmp_path / "a.csv", page[2], lambda which, label: 5)
    file.write_text("\n".join(change(file.read_text().splitlines())) + "\n")
    with pytest.raises(DataError, match=complaint):
        summarise_ratings([file], tmp_path)


def test_a_file_that_is_given_twice_is_not_two_raters(page, tmp_path):
    file = answers(tmp_path / "a.csv", page[2], lambda which, label: 5)
    with pytest.raises(DataError, match="given twice"):
        summarise_ratings([file, tmp_path / ".." / tmp_path.name / "a.csv"], tmp_path)


def test_what_a_spreadsheet_makes_of_the_file_is_read(page, tmp_path):
    file = answers(tmp_path / "a.csv", page[2], lambda which, label: 5)
    rows = [line.split(",") for line in file.read_text().splitlines()]
    with (tmp_path / "b.csv").open("w", newline="", encoding="utf-8-sig") as out:
        csv.writer(out).writerows([[*row, "", ""][:3] for row in rows])
    assert len(read_answers(tmp_path / "b.csv")) == len(rows) - 2


def test_the_same_set_twice_is_refused(sets, tmp_path):
    with pytest.raises(UsageError, match="named twice"):
        page_of([sets[0], sets[0]], tmp_path / "rating.html")


@pytest.mark.parametrize("flat_first", [False, True])
def test_sets_with_and_without_labels_are_refused(sets, tmp_path, flat_first):
    flat = tmp_path / "flat.npz"
    np.savez(flat, images=np.load(sets[1])["images"])
    pair = [flat, sets[0]] if flat_first else [sets[0], flat]
    with pytest.raises(UsageError, match=r"flat\.npz.* one has labels and one has none"):
        page_of(pair, tmp_path / "rating.html")


def test_sets_without_labels_are_rated_for_quality_alone(sets, tmp_path):
    for number in range(2):
        np.savez(tmp_path / f"{number}.npz", images=np.load(sets[number])["images"])
    _, _, data = page_of([tmp_path / "0.npz", tmp_path / "1.npz"], tmp_path / "rating.html")
    assert len(data["images"]) == 3 * IMAGES
    assert len(Key.decoded(data["key"]).classes) == 1


def test_a_rehearsal_writes_nothing(sets, tmp_path):
    result, text, _ = page_of(sets[:1], tmp_path / "rating.html", dry_run=True)
    assert (result.dry_run, text) == (True, "")
