import errno
import io
import os
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gangda.config.schema import DataConfig
from gangda.data import damaged
from gangda.data.archives import name_of
from gangda.data.loading import load_source
from gangda.data.paths import cache_root
from gangda.errors import DataError, RunError


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GANGDA_CACHE", str(tmp_path_factory.mktemp("cache")))


def png(value):
    file = io.BytesIO()
    Image.new("L", (8, 8), value).save(file, "PNG")
    return file.getvalue()


IMAGES = {
    f"{name}/{number}.png": png(50 * label + number) for label, name in enumerate("ab") for number in range(5)
}


def zipped(path, files, inside=""):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(f"{inside}{name}", data)
    return path


def tarred(path, files, mode="w", kind=tarfile.REGTYPE):
    with tarfile.open(path, mode) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(data), kind, "0.png"
            archive.addfile(member, io.BytesIO(data))
    return path


def load(path, **options):
    return load_source(DataConfig(source=str(path), **options))


@pytest.mark.parametrize("inside", ["", "my pictures/", "train/"])
def test_class_folders_in_a_zip_file_are_those_on_disk(tmp_path, inside):
    for name, data in IMAGES.items():
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    packed, plain = load(zipped(tmp_path / "set.zip", IMAGES, inside)), load(tmp_path / "set")
    assert packed.fingerprint == plain.fingerprint
    assert packed.name == "set"


@pytest.mark.parametrize(
    ("name", "mode"), [("a.tar", "w"), ("a.tar.gz", "w:gz"), ("a.tgz", "w:gz"), ("noname", "w:xz")]
)
def test_tar_files_by_name_or_content(tmp_path, name, mode):
    assert load(tarred(tmp_path / name, IMAGES, mode)).train.class_names == ("a", "b")


def test_an_archive_is_unpacked_once_for_each_content(tmp_path):
    path = zipped(tmp_path / "set.zip", IMAGES)
    assert load(path).train.pixels[0, 0, 0, 0] == 0
    (kept,) = (cache_root() / "archives").iterdir()
    before = kept.stat().st_ino
    load(path)
    assert [entry.stat().st_ino for entry in (cache_root() / "archives").iterdir()] == [before]
    state = path.stat()
    zipped(path, {name: png(200) for name in IMAGES})
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert load(path).train.pixels[0, 0, 0, 0] == 200


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"")])
def test_what_is_no_longer_whole_is_unpacked_again(tmp_path, damage):
    path = zipped(tmp_path / "set.zip", IMAGES)
    before = load(path).fingerprint
    (lost,) = (cache_root() / "archives").rglob("a/3.png")
    damage(lost)
    assert load(path).fingerprint == before
    assert lost.read_bytes() == IMAGES["a/3.png"]
    assert len(list((cache_root() / "archives").iterdir())) == 1


def test_without_the_cache_nothing_is_left(tmp_path):
    load(zipped(tmp_path / "set.zip", IMAGES), no_cache=True)
    assert list((cache_root() / "archives").iterdir()) == []


def test_labels_and_arrays_inside_are_found(tmp_path):
    flat = {name.replace("/", ""): data for name, data in IMAGES.items()}
    table = "file,label\n" + "".join(f"{name},{name[0]}\n" for name in flat)
    assert load(zipped(tmp_path / "set.zip", {**flat, "labels.csv": table})).train.class_names == ("a", "b")


def test_names_in_utf8_are_read_where_a_zip_does_not_say_that_they_are(tmp_path):
    path = zipped(tmp_path / "set.zip", {name.replace("a/", "café/"): data for name, data in IMAGES.items()})
    data = bytearray(path.read_bytes())
    # As macOS writes them: without the bit for UTF-8, here and in the directory at the end.
    for mark, flags in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):
        place = data.find(mark)
        while place >= 0:
            data[place + flags] &= ~8
            place = data.find(mark, place + 1)
    path.write_bytes(data)
    with zipfile.ZipFile(path) as archive:
        assert not any("café" in name for name in archive.namelist())
    assert load(path).train.class_names == ("b", "café")


def test_links_are_left_out_and_counted(tmp_path):
    path = tarred(tmp_path / "a.tar", IMAGES)
    with tarfile.open(path, "a") as archive:
        link = tarfile.TarInfo("a/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    source = load(path)
    assert len(source.train) == 10
    assert source.notes[0] == "a.tar: 1 links or devices in the archive are left out"


@pytest.mark.parametrize(
    "name", ["../evil.png", "/tmp/evil.png", "a/../../evil.png", "..\\evil.png", "C:/evil.png"]
)
def test_names_that_lead_out_are_refused(tmp_path, name):
    for path in (zipped(tmp_path / "a.zip", {name: png(1)}), tarred(tmp_path / "a.tar", {name: png(1)})):
        with pytest.raises(DataError, match="leads out of the archive"):
            load(path)
    assert not list(tmp_path.glob("**/evil.png"))


def test_bombs_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(damaged, "BOMB_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/0.png", bytes(4 << 20))
    with pytest.raises(DataError, match=r"a\.zip: unpacks to 4 MB from 4 kB, as no images do"):
        load(tmp_path / "a.zip")
    assert list((cache_root() / "archives").iterdir()) == []


@pytest.mark.parametrize("end", [".zip", ".tar", ".tar.gz"])
def test_damaged_archives_are_named_by_their_own_path(tmp_path, end):
    path = tmp_path / f"set{end}"
    if end == ".zip":
        zipped(path, IMAGES)
    else:
        tarred(path, IMAGES, "w:gz" if end.endswith("gz") else "w")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=rf"set{end}: (truncated|.*cannot be decoded)"):
        load(path)
    path.write_bytes(np.random.default_rng(0).bytes(1000))
    with pytest.raises(DataError, match=rf"set{end}: truncated, damaged or no archive"):
        load(path)


def test_encrypted_archives_are_named(tmp_path):
    data = bytearray(zipped(tmp_path / "a.zip", IMAGES).read_bytes())
    place = data.find(b"PK\x01\x02")
    data[place + 8] |= 1
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.zip: is encrypted"):
        load(tmp_path / "a.zip")


def test_messages_name_the_archive_not_the_cache(tmp_path):
    with pytest.raises(DataError, match=r"set\.zip/a: class 'a' has no images"):
        load(zipped(tmp_path / "set.zip", {"a/readme.txt": b"x", "b/0.png": png(0)}))


def test_a_tar_around_a_zip_is_a_tar(tmp_path):
    inner = zipped(tmp_path / "inner.zip", {"other/0.png": png(1)}).read_bytes()
    path = tarred(tmp_path / "outer", {**IMAGES, "z.zip": inner})
    assert len(load(path).train) == len(IMAGES)


def test_a_full_disk_is_not_called_a_damaged_archive(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(RunError, match="the disk is full"):
        load(zipped(tmp_path / "a.zip", IMAGES))


@pytest.mark.parametrize("name", ["t.tar.gz", "t.TGZ", "t.zip", "t"])
def test_a_set_is_called_as_its_archive_without_suffixes(name):
    assert name_of(Path(name)) == "t"
    assert name_of(Path("v1.2.zip")) == "v1.2"
