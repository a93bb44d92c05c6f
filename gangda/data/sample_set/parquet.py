"""Parquet, as Hugging Face's `datasets` writes it: PNGs, labels with the names of the classes, and the metadata.

Source: https://huggingface.co/docs/datasets: the features stand as JSON in the schema's metadata, under "huggingface".
"""

import contextlib
import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from gangda.data.images import IntArray, LabelledImages
from gangda.data.sample_set.format import Format
from gangda.data.sample_set.index import SetHeader, SetIndex, read_bytes
from gangda.data.sample_set.metadata import LINES, columns_of, rows_of
from gangda.data.sample_set.png import encode_png, images_of
from gangda.errors import DataError, UsageError
from gangda.runtime.hashed_file import sha256_of_file

try:
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    raise UsageError("--format parquet: needs pyarrow; pip install 'gangda[parquet]'") from None

GROUP = 4096  # images of a row group
_TYPES = {
    "label_name": "string",
    "synthetic": "bool",
    "origin": "string",
    "seed": "int64",
    "generator": "int64",
    "confidence": "float64",
    "parent": "int64",
    "row_id": "int64",
    "index": "int64",
}


def schema_of(class_names: tuple[str, ...]) -> Any:
    """The Arrow schema, with the features of `datasets`."""
    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(class_names), "_type": "ClassLabel"},
        **{name: {"dtype": kind, "_type": "Value"} for name, kind in _TYPES.items()},
    }
    fields = [
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("label", pa.int64()),
        *((name, getattr(pa, kind.replace("bool", "bool_"))()) for name, kind in _TYPES.items()),
    ]
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})


class ParquetWriter:
    """Writes `images[-i-of-n].parquet`."""

    def __init__(self, folder: Path, header: SetHeader, open_files: contextlib.ExitStack) -> None:
        self._header, self._path = header, folder / f"images{header.suffix}.parquet"
        self._schema = schema_of(header.class_names)
        self._file = open_files.enter_context(pq.ParquetWriter(self._path, self._schema))
        self._waiting: list[dict[str, Any]] = []

    def write(self, images: LabelledImages, first: int) -> None:
        """Add images; write a row group when enough are waiting."""
        rows = rows_of(self._header, images, first)
        for row, data in zip(rows, encode_png(images.pixels, images.origin), strict=True):
            self._waiting.append({"image": {"bytes": data, "path": f"{row['index']:08d}.png"}, **row})
        if len(self._waiting) >= GROUP:
            self._flush()

    def _flush(self) -> None:
        self._file.write_table(pa.Table.from_pylist(self._waiting, schema=self._schema))
        self._waiting = []

    def close(self) -> dict[str, str]:
        """Write the last images."""
        self._flush()
        self._file.close()
        return {self._path.name: sha256_of_file(self._path)}


def read_parquet(folder: Path, index: SetIndex) -> Iterator[tuple[IntArray, LabelledImages]]:
    """The images of one shard, a thousand at a time."""
    for name, digest in index.files.items():
        path = folder / name
        try:
            file = pq.ParquetFile(BytesIO(read_bytes(folder, name, digest)))
            for rows in (batch.to_pylist() for batch in file.iter_batches(LINES)):
                data = [(row.get("image") or {}).get("bytes") or b"" for row in rows]
                yield images_of(columns_of(rows, path), data, index, path)
        except (pa.ArrowException, OSError, AttributeError) as error:
            raise DataError(f"{path}: damaged ({str(error)[:80]}); make the set again") from None


PARQUET = Format(ParquetWriter, read_parquet)
