import io
import zipfile

import numpy as np
import pytest

from gangda.errors import DataError
from gangda.runtime.hashed_file import read_hashed, read_listed, sha256, sha256_of_file, write_hashed


@pytest.mark.parametrize("data", [b"", b"x", bytes(range(256)) * 300])
def test_what_was_written_is_read(tmp_path, data):
    write_hashed(tmp_path / "a" / "x.bin", data)
    assert read_hashed(tmp_path / "a" / "x.bin") == data


@pytest.mark.parametrize("length", range(0, 45, 3))
def test_a_file_cut_short_is_refused(tmp_path, length):
    path = tmp_path / "x.bin"
    write_hashed(path, b"some content")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DataError) as caught:
        read_hashed(path)
    assert str(caught.value) == f"{path}: its hash does not match; remove it and make it again"


def test_any_flipped_bit_and_any_byte_more_is_refused(tmp_path):
    path = tmp_path / "x.bin"
    write_hashed(path, b"some")
    good = path.read_bytes()
    for position in range(len(good)):
        path.write_bytes(good[:position] + bytes([good[position] ^ 4]) + good[position + 1 :])
        with pytest.raises(DataError, match="its hash does not match"):
            read_hashed(path)
    path.write_bytes(good + b"x")
    with pytest.raises(DataError, match="its hash does not match"):
        read_hashed(path)


def test_a_missing_file_is_one_line(tmp_path):
    for read in (read_hashed, lambda path, cure: read_listed(path, "0", cure)):
        with pytest.raises(DataError, match=r"x: cannot be read \(No such file or directory\); train again$"):
            read(tmp_path / "x", "train again")


def test_a_listed_file_is_read_by_the_hash_on_the_list(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"content")
    digest = sha256(b"content")
    assert (read_listed(path, digest), sha256_of_file(path)) == (b"content", digest)
    with pytest.raises(DataError, match=r"x: its hash does not match$"):
        read_listed(path, sha256(b"other"), cure="")


def test_other_programs_read_arrays_and_archives_as_if_there_were_no_digest(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.arange(4))
    write_hashed(tmp_path / "x.npy", buffer.getvalue())
    assert np.load(tmp_path / "x.npy").tolist() == [0, 1, 2, 3]
    buffer = io.BytesIO()
    np.savez(buffer, a=np.arange(4))
    write_hashed(tmp_path / "x.npz", buffer.getvalue())
    assert np.load(tmp_path / "x.npz")["a"].tolist() == [0, 1, 2, 3]
    assert zipfile.ZipFile(tmp_path / "x.npz").testzip() is None
