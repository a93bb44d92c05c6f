"""Several ranks make the step that one process makes: the loop itself, each rank in a thread of its own."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
import torch
from training_setup import begin, configured, networks_of

from gangda.runtime.device import DeviceContext
from gangda.runtime.distributed import Ranks
from gangda.runtime.launch import DistributedEnv
from gangda.training.state import TrainState


@dataclass
class Meeting:
    """Where threads leave their tensors for each other."""

    world: int
    left: dict[int, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self):
        self.barrier = threading.Barrier(self.world, timeout=60)


@dataclass(frozen=True, eq=False)
class Threads(Ranks):
    meeting: Meeting | None = None

    def average(self, tensors):
        self.meeting.left[self.env.rank] = torch.cat([tensor.reshape(-1) for tensor in tensors])
        self.meeting.barrier.wait()
        mean = sum(self.meeting.left[rank] for rank in range(self.env.world)) / self.env.world
        self.meeting.barrier.wait()
        for tensor, part in zip(tensors, mean.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view_as(tensor))


@dataclass
class Course:
    """What a few steps left: the records' numbers, the gradients of the first step, and where the weights went."""

    state: TrainState
    log: list[dict[str, float]]
    gradients: torch.Tensor
    way: torch.Tensor


def parameters(state):
    return [*state.modules["discriminator"].parameters(), *state.generator.parameters()]


def joint(tensors):
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def prepared(arch, images, options, recipe):
    """Configuration and networks; always the same."""
    config = configured(
        arch, options, max(images.image_shape[1:]), **{"batch_size": 24, "r1_every": 2, **recipe}
    )
    return config, networks_of(config, images)


def run(config, networks, images, context, count):
    """The steps of one rank, or of one process alone."""
    state, loop = begin(config, networks, images, context, total_steps=20)
    before = joint(parameters(state))
    log = [next(loop).numbers()]
    gradients = joint(p.grad for p in parameters(state) if p.grad is not None)
    log += [next(loop).numbers() for _ in range(count - 1)]
    return Course(state, log, gradients, joint(parameters(state)) - before)


def of_discriminator(numbers):
    """Those that no optimizer has had a hand in yet."""
    return {name: value for name, value in numbers.items() if name.startswith("d_")}


def apart(ours, theirs):
    """Distance of two vectors, as a share of the first."""
    return float(torch.linalg.vector_norm(ours - theirs) / torch.linalg.vector_norm(ours))


def train(arch, images, context, count, options, recipe):
    return run(*prepared(arch, images, options, recipe), images, context, count)


def train_together(world, arch, images, count, options, recipe):
    meeting = Meeting(world)
    # Before any thread begins: torch's one stream is reseeded at each step.
    starts = [prepared(arch, images, options, recipe) for _ in range(world)]

    def one(rank):
        ranks = Threads(DistributedEnv(rank, world, rank, world), meeting)
        try:
            return run(
                *starts[rank], images, DeviceContext(torch.device("cpu"), torch.float32, 1, ranks), count
            )
        except BaseException:
            meeting.barrier.abort()
            raise

    with ThreadPoolExecutor(world) as pool:
        return list(pool.map(one, range(world)))


PLAIN = {"width": 8, "d_width": 8, "virtual_batch_norm": "reference"}  # no image sees another
# Every option of the recipe in which images, draws or figures of a batch are shared.
COURSES = {
    "default": ("cdcgan", PLAIN, {}),
    "gradients": ("cdcgan", PLAIN, {"r2": 1.0, "gp": 10.0, "loss": "wasserstein", "clip": 0.1}),
    "relative": ("cdcgan", PLAIN, {"loss": "relativistic", "r2": 0.5, "lr_schedule": "cosine"}),
    "few images": (
        "cdcgan",
        PLAIN,
        {
            "conditioning_warmup": 5,
            "lecam": 0.3,
            "bcr": 10.0,
            "cr_flip": True,
            "diffaugment": ("translation", "color", "cutout"),
        },
    ),
    "turns": (
        "cdcgan",
        PLAIN,
        {"d_steps": 2, "d_pretrain": 2, "curriculum": 4, "label_smoothing": 0.1, "lecam": 0.3},
    ),
    "classifying": ("acgan", PLAIN, {"aux_weight": 0.5, "cr": 1.0}),
    "spread": ("cdcgan", {**PLAIN, "minibatch_stddev": True}, {"loss": "hinge"}),
    "identities": ("madgan", PLAIN, {"generator_id_weight": 0.5, "lecam": 0.3, "r2": 1.0, "cr": 1.0}),
    "fewer fakes than images": ("madgan", {**PLAIN, "generators": 5}, {"gp": 1.0, "batch_size": 22}),
    "spread identities": ("madgan", {**PLAIN, "minibatch_stddev": True}, {}),
    "spectral": ("cdcgan", {**PLAIN, "spectral_norm": True}, {"diffaugment": ("translation",)}),
    "simultaneous": (
        "cdcgan",
        PLAIN,
        {"simultaneous": True, "d_steps": 2, "lecam": 0.3, "gp": 1.0, "diffaugment": ("color",)},
    ),
    "simultaneous pairs": ("cdcgan", PLAIN, {"simultaneous": True, "loss": "relativistic", "clip": 0.3}),
    "no layers in common": ("gan", {"width": 16, "dropout": 0.0}, {"ct": 0.0, "d_steps": 2}),
}


@pytest.mark.parametrize("name", COURSES)
def test_two_ranks_make_the_steps_of_one_process(name, blobs, context):
    arch, options, recipe = COURSES[name]
    alone = train(arch, blobs, context, 4, options, recipe)
    one, other = train_together(2, arch, blobs, 4, options, recipe)
    assert one.log == other.log  # what is logged is the mean over all ranks
    assert torch.equal(one.way, other.way)
    ours, theirs = (of_discriminator(course.log[0]) for course in (alone, one))
    assert theirs == pytest.approx(ours, rel=1e-3, abs=1e-5)
    assert apart(alone.gradients, one.gradients) < 1e-3
    # Adam takes a full step wherever a gradient is not 0: where it is almost 0, rounding decides which way.
    assert apart(alone.way, one.way) < 0.05
    for ours, theirs in zip(alone.log, one.log, strict=True):
        # The critic's bias, which nothing holds, by 1e-3 a turn.
        assert theirs == pytest.approx(ours, rel=0.02, abs=5e-3)


def test_three_ranks_too(blobs, context):
    alone = train("cdcgan", blobs, context, 3, PLAIN, {"lecam": 0.3})
    for course in train_together(3, "cdcgan", blobs, 3, PLAIN, {"lecam": 0.3}):
        ours, theirs = (of_discriminator(found.log[0]) for found in (alone, course))
        assert theirs == pytest.approx(ours, rel=1e-3, abs=1e-5)
        assert apart(alone.way, course.way) < 0.05


@pytest.mark.parametrize(
    ("arch", "options"), [("dcgan", {"width": 8}), ("madgan", {"width": 8, "d_width": 8})]
)
def test_with_batch_norm_ranks_stay_the_same_network(arch, options, blobs, context):
    """Each normalises by its own images; the running statistics are the mean over the ranks."""
    one, other = (course.state for course in train_together(2, arch, blobs, 3, options, {"d_pretrain": 1}))
    moved = 0
    for ours, theirs in (
        (one.generator, other.generator),
        (one.modules["discriminator"], other.modules["discriminator"]),
        (one.ema, other.ema),
    ):
        for (name, value), twin in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
            assert torch.equal(value, twin), name
            moved += "running_mean" in name and bool(value.any())
    assert moved
