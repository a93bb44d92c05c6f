"""The set and label of each image, in the page and in its answers, encoded so that a rater cannot read them."""

import base64
import binascii
import json
import zlib
from dataclasses import dataclass
from typing import Any

from gangda.errors import DataError

FORMAT = 1
MOST_BYTES = 1 << 24  # of a decoded key
REAL_NAME = "held-out real"


@dataclass(frozen=True)
class Key:
    """Set and label of each image, unknown to the rater.

    Attributes:
        sets: of each set `name`, `path` and `content` (hash of its images); the last one is the real images.
        class_names: in label order.
        images: id -> (position in `sets`, intended label).
    """

    sets: tuple[dict[str, str], ...]
    class_names: tuple[str, ...]
    images: dict[str, tuple[int, int]]

    def encoded(self) -> str:
        """One word of text."""
        plain = {
            "format": FORMAT,
            "sets": list(self.sets),
            "classes": list(self.class_names),
            "images": {name: list(value) for name, value in self.images.items()},
        }
        return base64.b64encode(zlib.compress(json.dumps(plain).encode(), 9)).decode()

    @staticmethod
    def decoded(text: str) -> "Key":
        """The key that `encoded` wrote.

        Raises:
            DataError: damaged, or of a newer format.
        """
        try:
            unpacker = zlib.decompressobj()
            plain: Any = json.loads(unpacker.decompress(base64.b64decode(text, validate=True), MOST_BYTES))
            if plain["format"] > FORMAT:
                raise DataError("its key is newer than this gangda reads; update gangda")
            sets = tuple(
                {word: str(one[word]) for word in ("name", "path", "content")} for one in plain["sets"]
            )
            names = tuple(str(name) for name in plain["classes"])
            images = {str(name): (int(a), int(b)) for name, (a, b) in plain["images"].items()}
        except (
            *(binascii.Error, zlib.error, ValueError, KeyError, TypeError, AttributeError),
            *(RecursionError, OverflowError),
        ):
            raise DataError("its key is damaged; download the answers again") from None
        if any(not (0 <= a < len(sets) and 0 <= b < len(names)) for a, b in images.values()):
            raise DataError("its key is damaged; download the answers again")
        return Key(sets, names, images)
