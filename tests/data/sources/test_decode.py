import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from gangda.data.sources import decode
from gangda.data.sources.decode import decode_all
from gangda.data.values import ValueRange
from gangda.errors import DataError

RAMP = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
COLOUR = np.stack([RAMP, RAMP.T, 255 - RAMP], axis=2)


def decoded(image: Image.Image, path, size: int | None = 8, **options) -> np.ndarray:
    image.save(path, **options)
    return decode_all([path], size)[0][0]


def test_grey_and_colour_are_kept_exactly(tmp_path):
    np.testing.assert_array_equal(decoded(Image.fromarray(RAMP), tmp_path / "a.png")[..., 0], RAMP)
    np.testing.assert_array_equal(decoded(Image.fromarray(COLOUR), tmp_path / "b.bmp"), COLOUR)


def test_a_palette_is_looked_up(tmp_path):
    image = Image.fromarray(RAMP // 4, mode="P")
    image.putpalette([value for index in range(256) for value in (index, 255 - index, 7)])
    expected = np.stack([RAMP // 4, 255 - RAMP // 4, np.full_like(RAMP, 7)], axis=2)
    np.testing.assert_array_equal(decoded(image, tmp_path / "a.png"), expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_becomes_white(tmp_path, mode):
    image = Image.fromarray(RAMP).convert(mode)
    image.putalpha(Image.fromarray(np.where(RAMP < 128, 0, 255).astype(np.uint8)))
    np.testing.assert_array_equal(decoded(image, tmp_path / "a.png")[..., 0], np.where(RAMP < 128, 255, RAMP))


def test_a_transparent_palette_entry_is_white(tmp_path):
    image = Image.fromarray(np.eye(8, dtype=np.uint8), mode="P")
    image.putpalette([0, 0, 0, 10, 10, 10] + [0] * 750)
    pixels = decoded(image, tmp_path / "a.png", transparency=0)
    np.testing.assert_array_equal(pixels[..., 0], np.where(np.eye(8), 10, 255))


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path, ending):
    image = Image.fromarray(RAMP.astype(np.uint16) * 257)
    np.testing.assert_array_equal(decoded(image, tmp_path / f"a.{ending}")[..., 0], RAMP)


def test_cmyk_becomes_rgb(tmp_path):
    inks = Image.merge("CMYK", [Image.new("L", (8, 8), ink) for ink in (255, 0, 0, 0)])
    assert decoded(inks, tmp_path / "a.tif")[0, 0].tolist() == [0, 255, 255]


@pytest.mark.parametrize("quality", [30, 50, 75, 95, 100])
def test_the_quality_of_a_jpeg_is_read_from_its_table(tmp_path, quality):
    for name, progressive in (("a.jpg", False), ("b.jpg", True)):
        Image.fromarray(COLOUR).save(tmp_path / name, quality=quality, progressive=progressive)
    Image.fromarray(COLOUR).save(tmp_path / "c.png")
    facts = decode_all([tmp_path / name for name in ("a.jpg", "b.jpg", "c.png")], 8).facts
    assert facts.quality == pytest.approx([quality, quality, 0], abs=1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(tmp_path, orientation):
    # How the stored pixels must be turned for each value of the EXIF tag, by the EXIF standard's own table.
    upright = {
        1: RAMP, 2: RAMP[:, ::-1], 3: RAMP[::-1, ::-1], 4: RAMP[::-1], 5: RAMP.T, 6: np.rot90(RAMP, -1),
        7: np.rot90(RAMP, 2).T, 8: np.rot90(RAMP, 1),
    }  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decoded(Image.fromarray(RAMP), tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(pixels[..., 0], upright[orientation])


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("L", (8, 8), value) for value in (40, 80)]
    assert decoded(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])[0, 0, 0] == 40


def test_wide_images_are_centre_cropped(tmp_path):
    wide = np.full((8, 20), 7, dtype=np.uint8)
    wide[:, 6:14] = RAMP
    np.testing.assert_array_equal(decoded(Image.fromarray(wide), tmp_path / "a.png")[..., 0], RAMP)
    np.testing.assert_array_equal(decoded(Image.fromarray(wide.T), tmp_path / "b.png")[..., 0], RAMP.T)


def test_one_colour_image_makes_the_set_rgb(tmp_path):
    Image.fromarray(RAMP).convert("RGB").save(tmp_path / "grey.png")
    Image.fromarray(COLOUR).save(tmp_path / "colour.png")
    assert decode_all([tmp_path / "grey.png"], 8)[0].shape == (1, 8, 8, 1)
    assert decode_all([tmp_path / "grey.png", tmp_path / "colour.png"], 8)[0].shape == (2, 8, 8, 3)


def sized(tmp_path, sizes):
    paths = [tmp_path / f"{number}.png" for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        Image.new("L", size).save(path)
    return decode_all(paths, None)


@pytest.mark.parametrize(
    ("sizes", "side", "note"),
    [
        ([(28, 28)] * 3, 28, None),
        ([(20, 12), (20, 12), (30, 30)], 12, r"2 sizes, most often 20x12 \(2 of 3\).* resized to 12x12"),
        ([(20, 20), (30, 30)], 30, "most often 30x30"),
        ([(300, 200)], 64, "images are 300x200"),
        ([(3, 5)], 8, "images are 3x5"),
    ],
)
def test_default_size_is_the_most_common(tmp_path, sizes, side, note):
    pixels, notes, *_ = sized(tmp_path, sizes)
    assert pixels.shape == (len(sizes), side, side, 1)
    assert len(notes) == (note is not None)
    assert all(re.search(note, only) for only in notes)


def test_default_size_sees_the_exif_rotation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (20, 12)).save(tmp_path / "a.png", exif=exif)
    assert "images are 12x20" in decode_all([tmp_path / "a.png"], None)[1][0]


def whole_png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(COLOUR).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", whole_png()[:-30], whole_png()[:60], whole_png()[:40] + b"\xff" * 40 + whole_png()[80:]],
    ids=["empty", "text", "cut late", "cut early", "garbled"],
)
def test_corrupt_files_are_named(tmp_path, data):
    (tmp_path / "bad.png").write_bytes(data)
    with pytest.raises(DataError, match=r"bad\.png: cannot be decoded"):
        decode_all([tmp_path / "bad.png"], 8)


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (RAMP.astype(np.int32), "values 0 to 255: as they are"),
        (RAMP.astype(np.uint16), "values 0 to 255: as they are"),
        (RAMP.astype(np.int32) * 1000, "values 0 to 252,000: scaled to 0-255"),
        ((RAMP / 255).astype(np.float32), "values 0 to 1: scaled to 0-255"),
        ((RAMP / 127.5 - 1).astype(np.float32), "values -1 to 1: scaled to 0-255"),
    ],
    ids=["int32", "uint16", "deep", "float", "signed"],
)
def test_values_of_more_than_8_bits_are_scaled_by_their_range(tmp_path, values, note):
    Image.fromarray(values).save(tmp_path / "a.tif")
    found = decode_all([tmp_path / "a.tif"], 8)
    expected = RAMP * (255 / 252) if "252,000" in note else RAMP
    np.testing.assert_allclose(found.pixels[0, ..., 0], expected, atol=0.51)
    assert found.value_range.note == note


def test_full_16_bit_grey_is_divided_by_257():
    every = np.arange(65536, dtype=np.int32)
    expected = (every + 128) // 257
    np.testing.assert_array_equal(ValueRange(0, 65535, "").to_bytes(every), expected)


def test_files_of_8_and_of_12_bits_are_no_one_set(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "a.png")
    Image.fromarray(RAMP.astype(np.uint16) * 16).save(tmp_path / "b.png")
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    with pytest.raises(
        DataError, match=r"1 files have 8 bits .0 to 255., 1 more, with values 0 to 4,032; .*--value-range"
    ):
        decode_all(paths, 8)
    pixels = decode_all(paths, 8, given=(0, 4080)).pixels
    np.testing.assert_array_equal(pixels[0], pixels[1])


def test_values_of_12_bits_in_some_files_of_16_are_an_alarm(tmp_path):
    def notes_of(factors):
        paths = [tmp_path / f"{number}.png" for number in range(len(factors))]
        for path, factor in zip(paths, factors, strict=True):
            Image.fromarray(RAMP.astype(np.uint16) * factor).save(path)
        return [note for note in decode_all(paths, 8).notes if note.startswith("ALARM: ")]

    (alarm,) = notes_of([16, 16, 257, 257, 200])
    assert "2 of 5 files of 16 bits have values as of 12 (up to 4,095)" in alarm
    for alike in ([16] * 5, [257] * 5, [257] * 19 + [16]):
        assert notes_of(alike) == []


def deep_png(values):
    """A PNG of 16 bits a colour, uint16 (H, W, 3), which Pillow cannot write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = values.shape
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_colours_of_16_bits_are_said_and_those_of_12_in_them_are_an_alarm(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path, factor in zip(paths, (257, 257, 16), strict=True):
        path.write_bytes(deep_png(COLOUR.astype(np.uint16) * factor))
    found = decode_all(paths[:2], 8)
    np.testing.assert_array_equal(found.pixels[0], COLOUR)
    assert found.notes == ("2 of 2 files have 16 bits a colour, of which the upper 8 are read",)
    assert found.facts.bits.tolist() == [16, 16]
    (alarm,) = (note for note in decode_all(paths, 8).notes if note.startswith("ALARM: "))
    assert "1 of 3 files of 16 bits a colour have values as of 12 (up to 4,095)" in alarm


def test_a_bmp_of_16_bits_a_pixel_is_no_file_of_16_bits_a_colour(tmp_path):
    head = struct.pack("<2sIHHI", b"BM", 66 + 128, 0, 0, 66)
    about = struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 16, 3, 128, 0, 0, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    (tmp_path / "a.bmp").write_bytes(head + about + masks + b"\xff\xff" * 64)
    found = decode_all([tmp_path / "a.bmp"], 8)
    assert (found.pixels == 255).all()
    assert (found.facts.bits.tolist(), found.notes) == ([8], ())


def test_training_and_test_files_of_other_ranges_are_refused(tmp_path):
    Image.fromarray((RAMP / 255).astype(np.float32)).save(tmp_path / "a.tif")
    Image.fromarray(RAMP.astype(np.float32)).save(tmp_path / "b.tif")
    with pytest.raises(
        DataError, match=r"training files of floats have values 0 to 1 but test files .* 0 to 255"
    ):
        decode_all([tmp_path / "a.tif", tmp_path / "b.tif"], 8, 1)


def test_all_broken_files_are_named(tmp_path):
    for number in range(4):
        Image.fromarray(RAMP).save(tmp_path / f"{number}.png")
    for number in (1, 3):
        (tmp_path / f"{number}.png").write_bytes(whole_png()[:60])
    with pytest.raises(DataError, match=r"1\.png: cannot be decoded .* \(and 1 more: .*/3\.png\)"):
        decode_all([tmp_path / f"{number}.png" for number in range(4)], 8)


def test_decompression_bombs_and_nan_are_refused(tmp_path, monkeypatch):
    Image.fromarray(np.full((8, 8), np.nan, dtype=np.float32)).save(tmp_path / "nan.tif")
    Image.new("L", (50, 50)).save(tmp_path / "bomb.png")
    with pytest.raises(DataError, match=r"nan\.tif: .*NaN or infinite"):
        decode_all([tmp_path / "nan.tif"], 8)
    for limit in (1000, 2000):  # Pillow raises beyond twice its limit and warns in between
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        with pytest.raises(DataError, match=r"bomb\.png: over .* pixels"):
            decode_all([tmp_path / "bomb.png"], 8)


def test_the_most_common_size_is_that_of_all_files_not_of_some(tmp_path, monkeypatch):
    monkeypatch.setattr(decode, "_SAMPLE", 2)
    sides = [20, 12, 12, 20, 12, 12]
    for number, side in enumerate(sides):
        Image.fromarray(RAMP).resize((side, side)).save(tmp_path / f"{number}.png")
    pixels = decode_all(sorted(tmp_path.iterdir()), None).pixels
    assert pixels.shape == (6, 12, 12, 1)
    np.testing.assert_array_equal(pixels, decode_all(sorted(tmp_path.iterdir()), 12).pixels)
