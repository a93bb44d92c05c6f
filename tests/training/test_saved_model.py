import dataclasses
import json

import numpy as np
import pytest
import torch

from gangda.config import architectures, catalog
from gangda.errors import GangdaError
from gangda.training.saved_model import ModelCard, load_model, save_model
from gangda.zoo.draw import draw_block
from gangda.zoo.networks import build_networks


def saved(folder, arch, images):
    kind = architectures.spec_class(arch)
    sizes = {field.name: 8 for field in dataclasses.fields(kind) if field.name in ("width", "d_width")}
    spec = kind(**sizes)
    torch.manual_seed(0)
    generator = build_networks(arch, spec, images.image_shape, images.num_classes).generator
    if spec.method == "closed-form":
        generator.fit(images)
    card = ModelCard(
        arch,
        dataclasses.asdict(spec),
        images.image_shape,
        images.class_names,
        {},
        "f" * 16,
        0,
        5,
        "fp32",
        "run",
    )
    save_model(folder, generator.eval(), card, images.row_id)
    return generator


@pytest.mark.parametrize("arch", catalog.ARCHITECTURES)
def test_what_is_loaded_draws_the_same(arch, blobs, context, tmp_path):
    generator = saved(tmp_path, arch, blobs)
    model = load_model(tmp_path)
    assert model.card.class_names == blobs.class_names
    assert (model.row_ids == np.arange(160)).all()
    before = draw_block(generator, 1, 0, seed=0, context=context).pixels
    assert (before == draw_block(model.generator, 1, 0, seed=0, context=context).pixels).all()


@pytest.mark.parametrize("name", ["generator.safetensors", "model.json", "rows.txt"])
@pytest.mark.parametrize("damage", ["truncate", "garbage"])
def test_damage_is_told_in_one_line(name, damage, blobs, tmp_path):
    saved(tmp_path, "cdcgan", blobs)
    path = tmp_path / "model" / name
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + b"x" if damage == "truncate" else b"\x80garbage" * 10)
    with pytest.raises(GangdaError) as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_newer_format_is_refused(blobs, tmp_path):
    saved(tmp_path, "gan", blobs)
    path = tmp_path / "model" / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 99}))
    with pytest.raises(GangdaError, match="newer"):
        load_model(tmp_path)
