import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gangda.data.sources.file_names import group_files
from gangda.data.sources.folder import list_images
from gangda.data.sources.tables import read_table
from gangda.errors import DataError, GangdaError, UsageError

NAMES = [f"{name}_{number}.png" for name in ("cat", "dog") for number in range(3)]
ROWS = [(name, name[:3]) for name in NAMES]


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), 9).save(path)


@pytest.fixture
def flat(tmp_path):
    for name in NAMES:
        put(tmp_path / name)
    return tmp_path


def labelled(root, labels=None):
    """Class and part of each file, by name."""
    found = list_images(root, labels)
    return {
        path.name: (found.class_names[label], "train" if place < found.num_train else "test")
        for place, (path, label) in enumerate(zip(found.files, found.labels, strict=True))
    }


def expected(rows=ROWS):
    return {name: (label, "train") for name, label in rows}


def csv(rows, header="file_name,label"):
    return "".join(f"{line}\n" for line in (header, *(",".join(row) for row in rows)))


TABLES = {
    "metadata.csv": csv(ROWS),
    "labels.tsv": csv(ROWS).replace(",", "\t"),
    "labels.csv": csv([(name.removesuffix(".png"), label) for name, label in ROWS], "id,breed"),
    "train.csv": csv(ROWS, "﻿image;species").replace(",", ";"),
    "metadata.jsonl": "".join(json.dumps({"file_name": name, "label": label}) + "\n" for name, label in ROWS),
    "dataset.json": json.dumps({"labels": ROWS}),
    "labels.json": json.dumps(dict(ROWS)),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_usual_names_are_found_by_themselves(flat, name):
    (flat / name).write_text(TABLES[name])
    assert labelled(flat) == expected()
    assert list_images(flat).notes == (f"labels are taken from {name}",)


def test_a_second_table_of_a_usual_name_is_said(flat):
    (flat / "metadata.csv").write_text(csv(ROWS))
    (flat / "labels.csv").write_text(
        csv([(name, "cat" if label == "dog" else "dog") for name, label in ROWS])
    )
    assert labelled(flat) == expected()
    assert "labels may also stand in labels.csv: --labels FILE chooses" in list_images(flat).notes


def test_spreadsheets_unicode_text_and_their_line_about_cells(flat):
    (flat / "labels.tsv").write_bytes(TABLES["labels.tsv"].encode("utf-16"))
    assert labelled(flat) == expected()
    (flat / "labels.tsv").unlink()
    (flat / "labels.csv").write_text("sep=;\r\n" + csv(ROWS).replace(",", ";"))
    assert labelled(flat) == expected()


@pytest.mark.parametrize(("shift", "start"), [(1, 1), (-1, -1)])
def test_a_table_that_counts_from_elsewhere_is_an_alarm(tmp_path, shift, start):
    first = 10 if shift < 0 else 0
    for number in range(first, first + 12):
        put(tmp_path / f"{number}.png")
    rows = [(f"{number + shift}", "ab"[number % 2]) for number in range(first, first + 12)]
    (tmp_path / "labels.csv").write_text(csv(rows, "id,label"))
    (alarm,) = [note for note in list_images(tmp_path).notes if note.startswith("ALARM: ")]
    assert f"counts images from {first + start}, their files from {first}" in alarm
    # One image and one row too many, but not at the ends.
    rows[5 if shift > 0 else 6] = rows[-1 if shift > 0 else 0]
    (tmp_path / "labels.csv").write_text(csv(sorted(set(rows)), "id,label"))
    assert not [note for note in list_images(tmp_path).notes if note.startswith("ALARM: ")]


def test_masks_beside_their_images_are_an_alarm(tmp_path):
    for number in range(3):
        for kind in ("", "_mask", "-frame"):
            put(tmp_path / "a" / f"{number}{kind}.png")
            put(tmp_path / "b" / f"{number}{kind}.png")
    (alarm,) = [note for note in list_images(tmp_path).notes if note.startswith("ALARM: ")]
    assert "6 of 18 images are called like masks of others (such as 0_mask.png)" in alarm


def test_parts_that_only_file_names_tell_are_said(tmp_path):
    for part in ("train", "test"):
        for number in range(3):
            put(tmp_path / "a" / f"{part}_{number}.png")
    assert [note for note in list_images(tmp_path).notes if "3 with train, 3 with test" in note]
    put(tmp_path / "split" / "train" / "a" / "train_1.png")
    put(tmp_path / "split" / "test" / "a" / "test_1.png")
    assert not [note for note in list_images(tmp_path / "split").notes if "begin" in note]


def test_folders_asked_for_are_folders_whatever_lies_beside(flat):
    (flat / "metadata.csv").write_text(TABLES["metadata.csv"])
    assert list_images(flat, "folders").class_names == ("unlabelled",)


@pytest.mark.parametrize(
    "text",
    [
        csv(ROWS).split("\n", 1)[1],  # no header
        csv([(f"/home/me/pictures/{name}", label) for name, label in ROWS]),
        csv([(f"pictures\\{name}", label) for name, label in ROWS]),
        csv([(*row, str(place)) for place, row in enumerate(ROWS)], "name,Class,number"),
        csv(
            [(name, str(+(label == "cat")), str(+(label == "dog"))) for name, label in ROWS], "image,cat,dog"
        ),
    ],
)
def test_any_table_that_names_the_images_can_be_given(flat, tmp_path_factory, text):
    path = tmp_path_factory.mktemp("elsewhere") / "mine.csv"
    path.write_text(text)
    assert labelled(flat, str(path)) == expected()


def test_the_column_is_chosen_by_name_or_asked_for(flat):
    (flat / "mine.csv").write_text(
        csv([(name, label, "AB"[i % 2]) for i, (name, label) in enumerate(ROWS)], "f,x,z")
    )
    with pytest.raises(
        DataError, match=r"which column holds the labels\? It has x, z; give --labels FILE:COLUMN"
    ):
        list_images(flat, "mine.csv")
    assert labelled(flat, "mine.csv:X") == expected()
    assert set(list_images(flat, "mine.csv:z").class_names) == {"A", "B"}
    with pytest.raises(DataError, match="no column 'y'"):
        list_images(flat, "mine.csv:y")


def test_small_numbers_are_labels_not_the_names_of_files(tmp_path):
    for number in range(6):
        put(tmp_path / f"{number}.png")
    (tmp_path / "labels.csv").write_text(csv([(str(number % 2), str(number)) for number in range(6)], "a,b"))
    assert labelled(tmp_path) == {f"{number}.png": (str(number % 2), "train") for number in range(6)}


def test_a_split_column_is_honoured(flat):
    parts = ["train", "TEST", "val"] * 2
    rows = [(*row, part) for row, part in zip(ROWS, parts, strict=True)]
    (flat / "metadata.csv").write_text(csv(rows, "file_name,label,split"))
    assert labelled(flat) == {
        name: (label, "test" if part == "TEST" else "train") for name, label, part in rows
    }
    (flat / "metadata.csv").write_text(csv([(*row, "fold 3") for row in ROWS], "file_name,label,split"))
    with pytest.raises(DataError, match="split 'fold 3' is none of train"):
        list_images(flat, "metadata.csv")


def test_a_table_in_each_split_folder_as_hugging_face_has_them(tmp_path):
    for part in ("train", "test"):
        for name in NAMES:
            put(tmp_path / part / name)
        (tmp_path / part / "metadata.csv").write_text(csv(ROWS))
    found = list_images(tmp_path)
    assert (len(found.files), found.num_train, found.class_names) == (12, 6, ("cat", "dog"))


def test_kaggle_s_flat_folders_with_a_table_for_the_training_images(tmp_path):
    for name in NAMES:
        put(tmp_path / "train" / name)
        put(tmp_path / "test" / f"x{name}")
    (tmp_path / "train.csv").write_text(csv(ROWS))
    assert labelled(tmp_path) == expected()
    assert "left out, without a label: 6, such as test/xcat_0.png" in list_images(tmp_path).notes


def test_stylegans_folders_of_numbers_are_no_classes(tmp_path):
    names = [f"{number % 3:05}/img{number:08}.png" for number in range(6)]
    for name in names:
        put(tmp_path / name)
    (tmp_path / "dataset.json").write_text(
        json.dumps({"labels": [[name, i % 2] for i, name in enumerate(names)]})
    )
    assert list_images(tmp_path).class_names == ("0", "1")


def test_what_does_not_match_is_counted(flat):
    rows = [*ROWS[1:], ("gone.png", "cat"), ("dog_2.png", "dog"), ("cat_0.png", "")]
    (flat / "labels.csv").write_text(csv(rows))
    found = list_images(flat)
    assert len(found.files) == 5
    assert found.notes == (
        "labels are taken from labels.csv",
        "labels.csv: rows that name images which are not there: 1",
        "labels.csv: rows without a label: 1",
        "left out, without a label: 1, such as cat_0.png",
    )


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([*ROWS, ("cat_0.png", "dog")], "cat_0.png is named twice, as 'cat' .train. and 'dog' .train."),
        ([(name, "cat|dog" if "1" in name else label) for name, label in ROWS], "multi-label: 2 rows"),
        ([(name, name) for name, _ in ROWS], "6 different labels for 6 images: no classes"),
        ([(f"x{name}", label) for name, label in ROWS], "names no image that is there"),
        ([*ROWS, ("cat_0.png",)], "row 8 has 1 cells, the first 2"),
        ([(name, "") for name, _ in ROWS], "gives no image a label"),
        ([(name, "Cat " if "0" in name else "cat") for name, _ in ROWS], "differ only in case or blanks"),
    ],
)
def test_tables_that_mean_no_classes_are_refused_and_not_used_unasked(flat, rows, says):
    (flat / "mine.csv").write_text(csv(rows))
    with pytest.raises(DataError, match=says):
        list_images(flat, "mine.csv")


def test_a_name_that_holds_a_comma_is_one_label(flat):
    called = {"cat": "cat, Felis catus", "dog": "dog; Canis"}
    rows = [(name, called[label]) for name, label in ROWS]
    (flat / "labels.tsv").write_text("".join("\t".join(row) + "\n" for row in (("file", "label"), *rows)))
    assert labelled(flat) == expected(rows)
    rows[0] = (rows[0][0], "cat")
    (flat / "labels.tsv").write_text("".join("\t".join(row) + "\n" for row in (("file", "label"), *rows)))
    with pytest.raises(DataError, match="multi-label: 2 rows"):
        list_images(flat, "labels.tsv")


def test_a_found_table_that_does_not_fit_is_said(flat):
    rows = [json.dumps({"file_name": name, "tags": ["a", "b"]}) for name in NAMES]
    (flat / "metadata.jsonl").write_text("\n".join(rows))
    found = list_images(flat)
    assert found.class_names == ("unlabelled",)
    assert any("metadata.jsonl is not used for labels: multi-label: 6 rows" in note for note in found.notes)
    (flat / "metadata.jsonl").write_text("{")
    assert any("damaged, or no table" in note for note in list_images(flat).notes)


def test_folders_and_a_table_that_disagree_are_refused(tmp_path):
    for name, label in ROWS:
        put(tmp_path / label / name)
    (tmp_path / "labels.csv").write_text(csv(ROWS))
    assert labelled(tmp_path) == expected()
    swapped = [(name, {"cat": "dog", "dog": "cat"}[label]) for name, label in ROWS]
    (tmp_path / "labels.csv").write_text(csv(swapped))
    with pytest.raises(DataError, match=r"choose with --labels labels\.csv or --labels folders"):
        list_images(tmp_path)
    assert labelled(tmp_path, "folders") == expected()
    assert labelled(tmp_path, "labels.csv") == expected(swapped)


def test_one_name_for_several_images_is_refused(tmp_path):
    for place in ("x", "y"):
        for name in NAMES:
            put(tmp_path / place / name)
    (tmp_path / "mine.csv").write_text(csv(ROWS))
    with pytest.raises(DataError, match=r"'cat_0\.png' is the name of several images"):
        list_images(tmp_path, "mine.csv")


def test_labels_in_file_names(flat):
    put(flat / "7.png")
    assert labelled(flat, "name:^([a-z]+)_") == expected()
    assert "left out, without a label: 1, such as 7.png" in list_images(flat, "name:^([a-z]+)_").notes
    with pytest.raises(UsageError, match="fits no file name"):
        list_images(flat, "name:(q)")


def test_unlabelled_images_whose_names_begin_alike_get_a_hint(flat):
    assert "file names begin with cat (3), dog (3): --labels 'name:" in list_images(flat).notes[0]


def test_missing_tables_are_named(flat):
    with pytest.raises(GangdaError, match=r"--labels none\.csv: no such file, here or in"):
        list_images(flat, "none.csv")
    for name in ("~nobody/none.csv", "x" * 300):
        with pytest.raises(DataError, match=f"--labels {name}: no such file"):
            list_images(flat, name)


def test_groups_come_from_a_pattern_or_a_column(flat):
    paths = [flat / name for name in (*NAMES, "odd.png")]
    groups = group_files(flat, paths, "_([0-9])")
    np.testing.assert_array_equal(groups, [0, 1, 2, 0, 1, 2, 3])
    (flat / "who.csv").write_text(csv([(name, f"s{i // 2}") for i, name in enumerate(NAMES)], "f,subject"))
    put(flat / "odd.png")
    np.testing.assert_array_equal(group_files(flat, paths, "who.csv:subject"), [0, 0, 1, 1, 2, 2, 3])
    with pytest.raises(UsageError, match=r"fits no file name, such as odd\.png"):
        group_files(flat, paths, "(z)_")


def test_names_in_full_go_before_numbers_that_look_like_names(tmp_path):
    for number in range(6):
        put(tmp_path / f"{number}.png")
    rows = [(str(i), f"{5 - i}.png", str(i % 2)) for i in range(6)]  # as pandas writes its index
    (tmp_path / "labels.csv").write_text(csv(rows, ",file,label"))
    assert labelled(tmp_path) == {f"{5 - i}.png": (str(i % 2), "train") for i in range(6)}
    (tmp_path / "labels.csv").write_text(
        csv([(str(i), str(5 - i), str(i % 2)) for i in range(6)], "a,b,label")
    )
    with pytest.raises(DataError, match="columns 'a' and 'b' could both name the images"):
        list_images(tmp_path, "labels.csv")


def test_numbers_without_leading_zeros_and_names_in_another_case(tmp_path):
    for number in range(6):
        put(tmp_path / "images" / f"{number:03}.PNG")
    for rows in ([(str(i), str(i % 2)) for i in range(6)], [(f"{i:03}.png", str(i % 2)) for i in range(6)]):
        (tmp_path / "labels.csv").write_text(csv(rows))
        assert labelled(tmp_path) == {f"{i:03}.PNG": (str(i % 2), "train") for i in range(6)}
    (tmp_path / "labels.csv").write_text(csv([(f"x{i}", str(i % 2)) for i in range(6)]))
    with pytest.raises(DataError, match=r"one class folder only \('images'\), and labels\.csv is not used"):
        list_images(tmp_path)


def test_a_header_that_looks_like_an_image_is_a_header(tmp_path):
    for number in range(4):
        put(tmp_path / f"{number}.png")
    put(tmp_path / "file.png")
    rows = [(f"{i}.png", str(i % 2), str(1 - i % 2)) for i in range(4)]
    (tmp_path / "mine.csv").write_text(csv(rows, "file,0,1"))
    assert labelled(tmp_path, "mine.csv") == {f"{i}.png": (str(1 - i % 2), "train") for i in range(4)}
    (tmp_path / "mine.csv").write_text(csv([row[:2] for row in rows], "file.png,1"))
    assert labelled(tmp_path, "mine.csv")["file.png"] == ("1", "train")


def test_parts_and_paths_are_those_from_here_as_well(tmp_path, monkeypatch):
    rows = [(f"{part}/{name}_0.png", name) for part in ("train", "test") for name in ("cat", "dog")]
    for name, _ in rows:
        put(tmp_path / name)
    (tmp_path / "labels.csv").write_text(csv(rows))
    monkeypatch.chdir(tmp_path)
    for root in (Path(), tmp_path):
        listing = list_images(root)
        assert (len(listing.files), listing.num_train) == (4, 2)


def test_a_table_names_images_by_whole_paths(flat):
    (flat / "labels.csv").write_text(csv([(str(flat / name), label) for name, label in ROWS]))
    assert labelled(flat) == expected()


def test_odd_numbers_and_line_ends_in_json_are_labels(tmp_path):
    rows = [
        {"file": "a", "label": 1e999},
        {"file": "b\u2028", "label": 2.0},
        {"file": "c", "label": math.nan},
    ]
    path = tmp_path / "labels.jsonl"
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    assert list(read_table(path).columns["label"]) == ["inf", "2", ""]
