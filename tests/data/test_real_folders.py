"""Small folders and files as users really have them: what each becomes, or the words it is refused with."""

import re
import shutil
import unicodedata

import numpy as np
import pytest
from PIL import Image

from gangda.classifying.loading import load_images
from gangda.config.schema import DataConfig
from gangda.data.loading import load_splits
from gangda.data.sources.image_kinds import EXTENSIONS
from gangda.errors import DataError

RNG = np.random.default_rng(0)
LABELS = np.arange(80) % 2


def noise(*shape):
    return RNG.integers(0, 90, shape or (12, 12), dtype=np.uint8)


def put(path, image=None, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise() if image is None else image).save(path, **how)


def classes(root, names="ab", count=20, end="png"):
    for name in names:
        for number in range(count):
            put(root / name / f"{number:03}.{end}")
    return root


def npz(root, **arrays):
    np.savez(root / "set.npz", **arrays)
    return root / "set.npz"


def loaded(path, **options):
    return load_splits(DataConfig(source=str(path), no_cache=True, **options), 0)


def total(splits):
    return [len(splits.train) + len(splits.validation), len(splits.test)]


def refused(path, says, **options):
    with pytest.raises(DataError, match=says):
        loaded(path, **options)


def test_parts_of_different_ranges_are_refused(tmp_path):
    part = RNG.random((80, 12, 12), dtype=np.float32)
    arrays = {"x_train": part, "y_train": LABELS, "y_test": LABELS}
    refused(
        npz(tmp_path, **arrays, x_test=part * 255),
        "train images have values 0 to 1 but test images .* 0 to 255",
    )
    arrays["x_train"] = (part * 255).astype(np.uint8)
    refused(
        npz(tmp_path, **arrays, x_test=part), "test images have values 0 to 1 but train images .* 0 to 255"
    )


def test_zeros_and_ones_and_sixteen_levels_are_scaled_and_said(tmp_path):
    for images, words in (
        (RNG.integers(0, 2, (80, 12, 12), dtype=np.uint8), "values 0 to 1: scaled to 0-255"),
        (RNG.integers(0, 17, (80, 12, 12)) * 1.0, "values 0 to 16: scaled to 0-255"),
    ):
        splits = loaded(npz(tmp_path, images=images, labels=LABELS))
        assert splits.train.pixels.max() == 255
        assert any(words in note for note in splits.notes)


def test_twelve_bits_are_scaled_and_said(tmp_path):
    for name in "ab":
        for number in range(20):
            values = RNG.integers(0, 1023, (12, 12)).astype(np.uint16)
            values.flat[:2] = 0, 1022
            put(tmp_path / name / f"{number}.png", values)
    splits = loaded(tmp_path)
    assert "values 0 to 1,022: scaled to 0-255" in splits.notes
    assert splits.train.pixels.max() == 255


def test_twins_are_counted_and_kept_together(tmp_path):
    for path in sorted(classes(tmp_path).glob("?/*.png")):
        (path.parent / f"{path.stem}-copy.png").write_bytes(path.read_bytes())
    (tmp_path / "b" / "x.png").write_bytes((tmp_path / "a" / "000.png").read_bytes())
    splits = loaded(tmp_path)
    assert splits.alarms[0].startswith(
        "ALARM: 41 of 81 images are identical to another, 3 stand under different classes"
    )
    assert splits.checks["test_images_in_train"] == 0
    assert sum(total(loaded(tmp_path, deduplicate=True))) == 40


def test_subjects_across_a_split_are_an_alarm_until_grouped(tmp_path):
    for name in "ab":
        for subject in range(8):
            base = noise(28, 28)
            for shot in range(6):
                image = base + RNG.integers(0, 4, base.shape, dtype=np.uint8)
                put(tmp_path / name / f"{subject:02}_{shot}.png", image)
    assert any("nearly the same as one trained on" in alarm for alarm in loaded(tmp_path).alarms)
    assert not any("nearly" in alarm for alarm in loaded(tmp_path, group_by="^([0-9]+)_").alarms)


@pytest.mark.parametrize("version", ["_aug_{}", "-flipped{}", "_jpg.rf.{}c0ffee"])
def test_versions_of_one_image_by_name_are_an_alarm_until_grouped(tmp_path, version):
    for path in sorted(classes(tmp_path).glob("?/*.png")):
        for number in range(2):
            put(path.with_name(f"{path.stem}{version.format(number)}.png"))
    (alarm,) = [one for one in loaded(tmp_path).alarms if "versions" in one]
    assert alarm.startswith("ALARM: 80 of 120 images are called like versions of others ('")
    splits = loaded(tmp_path, group_by=re.search("--group-by '(.*)'", alarm)[1])
    assert not any("versions" in note for note in splits.notes)
    assert len(splits.test) % 3 == 0
    classes(tmp_path / "crops", "ab", 5, "crop.png")
    assert not any("versions" in note for note in loaded(tmp_path / "crops").notes)


def test_dates_are_no_versions(tmp_path):
    for path in sorted(classes(tmp_path).glob("?/*.png")):
        for day in ("2021-Aug-05", "07-aug-2021"):
            put(path.with_name(f"{day}_{path.stem}.png"))
            put(path.with_name(f"{path.stem}_{day}.png"))
    assert not any("versions" in note for note in loaded(tmp_path).notes)


def test_similar_images_across_a_split_of_ones_own_are_to_be_taken_out(tmp_path):
    for name in "ab":
        for number in range(12):
            image = noise(28, 28)
            put(tmp_path / "train" / name / f"{number}.png", image)
            put(tmp_path / "test" / name / f"{number}.png", image ^ 1)
    (alarm,) = (alarm for alarm in loaded(tmp_path).alarms if "nearly" in alarm)
    assert "24 of 24" in alarm
    assert alarm.endswith("keep them out of one of the parts")


def test_a_codec_that_tells_the_class_is_an_alarm(tmp_path):
    classes(tmp_path, "a", 40)
    classes(tmp_path, "b", 40, "jpg")
    (alarm,) = (alarm for alarm in loaded(tmp_path).alarms if "file format" in alarm)
    assert "'a' PNG, 'b' JPEG" in alarm


def test_bit_depth_that_tells_the_class_is_an_alarm(tmp_path):
    classes(tmp_path, "a", 40)
    for number in range(40):
        put(tmp_path / "b" / f"{number}.png", noise().astype(np.uint16) * 257 * 2)
    assert any("bit depth" in alarm and "'a' 8, 'b' 16" in alarm for alarm in loaded(tmp_path).alarms)


def test_numbers_are_in_natural_order_and_counted_by_name(tmp_path):
    classes(tmp_path, [str(number) for number in range(1, 13)], 5)
    splits = loaded(tmp_path, class_counts=("10=4", "#0=2", "12=3"))
    assert splits.train.class_names[8:] == ("9", "10", "11", "12")
    assert (splits.train.counts() + splits.validation.counts()).tolist() == [2, *[0] * 8, 4, 0, 3]
    assert any("--class-counts: 1=2, 2=0" in note for note in splits.notes)


def test_labels_beside(tmp_path):
    for name in ("cat", "dog"):
        for number in range(20):
            put(tmp_path / f"{name}_{number}.png")
    rows = [f"{path.name},{path.name[:3]}\n" for path in tmp_path.iterdir()]
    (tmp_path / "metadata.csv").write_text("".join(("file_name,label\n", *rows)))
    splits = loaded(tmp_path)
    assert splits.train.class_names == ("cat", "dog")
    assert total(splits) == [32, 8]
    (tmp_path / "metadata.csv").unlink()
    assert loaded(tmp_path, labels="name:(.*)_").train.class_names == ("cat", "dog")


def test_suffixes_do_not_matter(tmp_path):
    for path in sorted(classes(tmp_path, end="jpg").glob("a/00?.jpg")):
        path.rename(path.with_suffix(".jfif"))
    for path in sorted(tmp_path.glob("a/01?.jpg")):
        path.rename(path.with_suffix(""))
    assert sum(total(loaded(tmp_path))) == 40


@pytest.mark.parametrize(("kind", "suffix"), [("AVIF", ".avif"), ("HEIF", ".heic")])
@pytest.mark.parametrize("named", [True, False])
def test_avif_and_heic_are_read_where_pillow_can(tmp_path, kind, suffix, named):
    if suffix not in EXTENSIONS:
        pytest.skip(f"no {kind} here")
    for number in range(20):
        for name, low in (("a", 30), ("b", 130)):
            colour = np.zeros((16, 16, 3), np.uint8) + np.array([low + number, 200, 60], np.uint8)
            path = tmp_path / name / f"{number:02}{suffix * named}"
            put(path, colour, format=kind, quality=95)
    splits = loaded(tmp_path)
    assert total(splits) == [32, 8]
    for part in (splits.train, splits.validation, splits.test):
        wanted = np.stack(
            [30 + 100 * part.labels + part.row_id % 20, *(0 * part.labels + [[200], [60]])], axis=1
        )
        assert np.abs(part.pixels.mean(axis=(1, 2)) - wanted).max() < 4
    assert not [alarm for alarm in splits.alarms if "skipped" in alarm]


def test_kinds_that_cannot_be_read_are_counted_by_class(tmp_path):
    classes(tmp_path)
    for number in range(7):
        (tmp_path / "a" / f"{number}.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    if ".heic" in EXTENSIONS:
        pytest.skip("pillow-heif is there")
    assert any(
        note.startswith("ALARM: skipped 7: HEIC images, which need pillow-heif") and note.endswith("(a: 7)")
        for note in loaded(tmp_path).notes
    )


def test_a_flat_test_folder_is_refused_with_what_to_give(tmp_path):
    classes(tmp_path / "train")
    put(tmp_path / "test" / "0.png")
    refused(tmp_path, f"test images have no class folders.* give --data {tmp_path / 'train'}")
    assert sum(total(loaded(tmp_path / "train"))) == 40


def test_thumbnails_are_passed_over(tmp_path):
    classes(tmp_path)
    for place in ("a/@eaDir", ".ipynb_checkpoints"):
        put(tmp_path / place / "000.png")
    splits = loaded(tmp_path)
    assert sum(total(splits)) == 40
    assert any(note.startswith("skipped 2: hidden files") for note in splits.notes)


def test_broken_files_are_named_together_and_can_be_skipped(tmp_path):
    classes(tmp_path)
    for name in ("003", "007", "009"):
        path = tmp_path / "a" / f"{name}.png"
        path.write_bytes(path.read_bytes()[:60])
    refused(tmp_path, r"a/003\.png: cannot .*and 2 more: a/007\.png, a/009\.png.; --skip-broken")
    splits = loaded(tmp_path, skip_broken=True, group_by="([0-9]+)")
    assert (splits.train.counts() + splits.validation.counts() + splits.test.counts()).tolist() == [17, 20]
    assert any("3 broken files are left out (a: 3; --skip-broken)" in note for note in splits.notes)


def test_links_are_counted_or_twins(tmp_path):
    classes(tmp_path)
    (tmp_path / "a" / "same.png").symlink_to("../b/000.png")
    (tmp_path / "a" / "lost.png").symlink_to("../nowhere.png")
    splits = loaded(tmp_path)
    assert "skipped 1: links to nothing, such as lost.png" in splits.notes
    assert splits.checks["contradicting"] == 2


def test_wide_images_keep_what_tells_the_class_where_asked(tmp_path):
    for name, value in (("a", 0), ("b", 255)):
        for number in range(20):
            put(
                tmp_path / name / f"{number}.png",
                np.hstack([np.full((24, 6), value, np.uint8), noise(24, 90)]),
            )
    cropped = loaded(tmp_path)
    assert any("96x24: centre-cropped to squares, which cuts off 75%" in alarm for alarm in cropped.alarms)
    assert cropped.train.image_shape == (1, 24, 24)
    for fit, words in (("pad", "40 are padded with black"), ("stretch", "40 are stretched")):
        kept = loaded(tmp_path, fit=fit, image_size=32)
        left = kept.train.pixels[:, 12:20, :2].mean(axis=(1, 2, 3))
        assert left[kept.train.labels == 1].min() > left[kept.train.labels == 0].max() + 100
        assert any(words in note for note in kept.notes)


def test_grey_test_images_beside_rgb_become_rgb(tmp_path):
    classes(tmp_path / "grey")
    for name in "ab":
        for number in range(20):
            put(tmp_path / "rgb" / name / f"{number}.png", noise(12, 12, 3))
    rgb, grey = str(tmp_path / "rgb"), str(tmp_path / "grey")
    splits = load_images(rgb, grey, DataConfig(), 0)
    assert splits.test.image_shape == splits.train.image_shape == (3, 12, 12)
    assert f"{grey}: its images are grey: they became RGB" in splits.notes
    with pytest.raises(DataError, match="RGB images, the others are 12x12 grey; --channels 1 makes all grey"):
        load_images(grey, rgb, DataConfig(), 0)
    assert load_images(grey, rgb, DataConfig(channels=1), 0).test.image_shape == (1, 12, 12)


def test_a_class_may_be_empty_in_test(tmp_path):
    classes(tmp_path / "train", "abc")
    classes(tmp_path / "test")
    (tmp_path / "test" / "c").mkdir()
    splits = loaded(tmp_path)
    assert splits.test.counts().tolist() == [20, 20, 0]
    assert "without test images, so that the recall is unknown: 'c'" in splits.notes


def test_accents_are_unified_and_case_refused(tmp_path):
    classes(tmp_path, [unicodedata.normalize(form, "café") for form in ("NFC", "NFD")] + ["tea"])
    assert loaded(tmp_path).train.class_names == ("café", "tea")
    classes(tmp_path, ["Tea"], 1)
    refused(tmp_path, "'Tea' and 'tea' differ only in case or blanks")


def test_white_drawings_on_nothing_are_said_to_vanish(tmp_path):
    classes(tmp_path, "a")
    for number in range(5):
        drawn = np.full((12, 12, 4), 255, np.uint8)
        drawn[..., 3] = noise()
        put(tmp_path / "b" / f"{number}.png", drawn)
    refused(tmp_path, "class 'b' are in one group .*; they are blank: white drawings on a transparent ground")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a\nb", r"class name 'a\\nb' holds a control character"),
        ("\x1b[31mred", r"class name '\\x1b\[31mred' holds a control"),
        ("b\u200b", r"class names 'b' and 'b\\u200b' differ only in characters that are not seen"),
    ],
)
def test_names_that_would_break_a_line_or_look_alike_are_refused(tmp_path, name, says):
    refused(classes(tmp_path, ["a", "b", name], 5), says)


def test_numbers_with_and_without_fractions_are_refused_as_two_classes(tmp_path):
    refused(
        classes(tmp_path, ["1", "1.0", "2"], 5), "class names '1' and '1.0' differ only in how a number is"
    )
    assert loaded(classes(tmp_path / "versions", ["1.0", "1.1"], 5)).labelled


def test_a_class_of_one_image_is_kept_out_of_the_test_split(tmp_path):
    classes(tmp_path, "ab")
    classes(tmp_path, "c", 1)
    splits = loaded(tmp_path)
    assert splits.train.counts().tolist()[2] == 1
    assert splits.test.counts().tolist() == [4, 4, 0]
    assert "without test images, so that the recall is unknown: 'c'" in splits.notes


def test_samples_of_diffusion_models_and_multi_label_archives(tmp_path):
    splits = loaded(npz(tmp_path, arr_0=noise(80, 12, 12, 3), arr_1=LABELS))
    assert splits.train.image_shape == (3, 12, 12)
    assert splits.train.class_names == ("0", "1")
    assert loaded(npz(tmp_path, images=noise(80, 12, 12), labels=LABELS > 0)).train.class_names == ("0", "1")
    labels = RNG.integers(0, 2, (80, 14))
    refused(npz(tmp_path, train_images=noise(80, 12, 12), train_labels=labels), "are multi-label")


def test_one_image_is_no_data_set(tmp_path):
    put(tmp_path / "a.png")
    refused(tmp_path / "a.png", r"a\.png: one image: --data takes many, a folder for each class")


def test_images_turned_by_exif_are_said(tmp_path):
    classes(tmp_path, count=6, end="jpg")
    how = Image.Exif()
    how[0x0112] = 6
    put(tmp_path / "a" / "003.jpg", exif=how)
    put(tmp_path / "b" / "004.jpg", exif=how)
    assert "2 of 12 images are turned upright, as their EXIF says" in loaded(tmp_path).notes


def test_several_pages_are_said(tmp_path):
    classes(tmp_path)
    Image.fromarray(noise()).save(
        tmp_path / "a" / "x.tif", save_all=True, append_images=[Image.fromarray(noise())]
    )
    assert any(
        "files of several pages or frames, of which the first is taken: 1" in note
        for note in loaded(tmp_path).notes
    )


def test_channels_are_forced_by_the_weights_of_bt_601(tmp_path):
    images = noise(80, 12, 12, 3)
    grey = loaded(npz(tmp_path, images=images, labels=LABELS), channels=1)
    rows = grey.train.row_id
    weights = np.array([0.299, 0.587, 0.114])
    assert np.abs(grey.train.pixels[..., 0] - images[rows] @ weights).max() <= 0.51
    rgb = loaded(npz(tmp_path, images=images[..., 0], labels=LABELS), channels=3)
    np.testing.assert_array_equal(rgb.train.pixels, np.repeat(images[rgb.train.row_id][..., :1], 3, axis=3))
    assert "images became RGB (--channels)" in rgb.notes


def test_grey_images_beside_rgb_that_become_grey_are_said_once(tmp_path):
    classes(tmp_path)
    for number in range(10):
        put(tmp_path / "a" / f"{number:03}.png", noise(12, 12, 3))
    assert "30 of 40 images are grey: they became RGB, as the others are" in loaded(tmp_path).notes
    notes = loaded(tmp_path, channels=1).notes
    assert {"30 of 40 images are grey", "images became grey (--channels)"} < set(notes)
    assert not [note for note in notes if "RGB" in note]


def labelled(root, names):
    for number, _ in enumerate(names):
        put(root / f"{number:03}.png")
    lines = [f"{number:03}.png,{name}\n" for number, name in enumerate(names)]
    (root / "labels.csv").write_text("file,label\n" + "".join(lines))
    return root


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["cat", "dog", "nan"], "class 'nan' looks like a missing label"),
        (["images", "Masks"], "class 'Masks' looks like the answers to other images"),
        (["20.5", "21", "22.5"], r"class names are numbers \(20\.5, 21, 22\.5, \.\.\.\)"),
    ],
)
def test_names_that_are_hardly_classes_are_an_alarm(tmp_path, names, says):
    alarms = loaded(labelled(tmp_path, names * 10)).alarms
    assert [alarm for alarm in alarms if re.match(f"ALARM: {says}", alarm)]


@pytest.mark.parametrize("names", [["1.0", "2.0"], ["none", "scratch"], ["image", "video"], ["v1.5", "v2.5"]])
def test_names_of_classes_are_no_alarm(tmp_path, names):
    assert not [note for note in loaded(labelled(tmp_path, names * 15)).notes if note.startswith("ALARM")]


@pytest.mark.parametrize("shifted", [0, 1])
def test_a_table_shifted_against_the_names_is_an_alarm(tmp_path, shifted):
    classes(tmp_path / "seen", ["cat", "dog", "owl"])
    rows = [(path.name, path.parent.name) for path in sorted((tmp_path / "seen").rglob("*.png"))]
    for name, label in rows:
        put(tmp_path / f"{label}_{name}")
    shutil.rmtree(tmp_path / "seen")
    names = [f"{label}_{name},{rows[place - shifted][1]}\n" for place, (name, label) in enumerate(rows)]
    (tmp_path / "labels.csv").write_text("file,label\n" + "".join(names))
    found = [alarm for alarm in loaded(tmp_path).alarms if "rows shifted" in alarm]
    assert len(found) == shifted
    assert not found or "3 of 60 images have another class in their name than in labels.csv" in found[0]


def test_pictures_of_other_kinds_are_counted_by_class(tmp_path):
    classes(tmp_path)
    for number in range(7):
        (tmp_path / "b" / f"{number}.JP2").write_bytes(b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100))
    (alarm,) = (note for note in loaded(tmp_path).notes if note.startswith("ALARM"))
    assert "skipped 7: images of kinds that are not read here" in alarm
    assert alarm.endswith("(b: 7)")
    assert alarm in loaded(tmp_path).alarms


@pytest.mark.parametrize("change", ["format", "inverted", "none"])
def test_test_images_of_another_make_than_the_training_images_are_an_alarm(tmp_path, change):
    classes(tmp_path / "train", count=30)
    classes(tmp_path / "test", count=12, end="jpg" if change == "format" else "png")
    if change == "inverted":
        for path in (tmp_path / "test").rglob("*.png"):
            put(path, 255 - noise())
    what = {"format": "file format", "inverted": "mean brightness"}
    alarms = [alarm for alarm in loaded(tmp_path).alarms if "alone tells training from test images" in alarm]
    assert bool(alarms) == (change in what)
    assert not alarms or f"an image's {what[change]} alone" in alarms[0]
