"""Optional terms of the players' losses: each belongs to a field of `Recipe` and is there when that is not zero.

Adding one is a small function in `objectives/`, its wiring here, a line in a table below and the field.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

from gangda.training.adversarial import consistency, gradient_penalties, lecam, losses, madgan
from gangda.training.adversarial.scoring import Arena, Terms, Turn

Term = Callable[[Arena, Turn], Terms]


def due(arena: Arena, turn: Turn) -> bool:
    """Whether the lazy penalties are due, on every `r1_every`-th turn (Karras 2020b, section 3.1)."""
    return turn.number % arena.recipe.r1_every == 0


def r1(arena: Arena, turn: Turn) -> Terms:
    """gamma/2 |gradient|^2 at real images, scaled up to keep its mean where it is lazy.

    With batch norm in the discriminator an image's score depends on the others of the batch, so that the gradient is
    that of the batch's whole score: the penalty is approximate there, and in use all the same (R2 likewise).
    """
    if not due(arena, turn):
        return {}
    weight = arena.recipe.r1 * arena.recipe.r1_every
    return {"d_r1": weight * gradient_penalties.r1(arena.rescore(turn, turn.y), turn.real)}


def r2(arena: Arena, turn: Turn) -> Terms:
    """The same at fakes."""
    if not due(arena, turn):
        return {}
    weight = arena.recipe.r2 * arena.recipe.r1_every
    return {"d_r2": weight * gradient_penalties.r2(arena.rescore(turn, turn.y_fake), turn.fake)}


def gradient_penalty(arena: Arena, turn: Turn) -> Terms:
    """Gulrajani's penalty between each fake and the real image of its row."""
    real, score = turn.real[: len(turn.fake)], arena.rescore(turn, turn.y_fake)
    return {"d_gp": arena.recipe.gp * gradient_penalties.gradient_penalty(score, real, turn.fake, turn.rng)}


def consistency_term(arena: Arena, turn: Turn) -> Terms:
    """Wei's CT term: the pass that the loss uses against one more, with other dropout."""
    again = arena.score(turn.real, turn.y, turn.number, turn.rng)
    once = turn.on_real
    if once.features is None or again.features is None:
        raise ValueError("the CT term needs the discriminator's features")
    term = consistency.consistency_term(
        arena.real_score(once.adversarial), arena.real_score(again.adversarial), once.features, again.features
    )
    return {"d_ct": arena.recipe.ct * term}


def consistency_on_real(arena: Arena, turn: Turn) -> Terms:
    """CR: real images and the same, changed."""
    return {
        "d_cr": arena.recipe.cr * _inconsistency(arena, turn, turn.real, turn.y, turn.on_real.adversarial)
    }


def balanced_consistency(arena: Arena, turn: Turn) -> Terms:
    """bCR: the same on real images and on fakes."""
    real = _inconsistency(arena, turn, turn.real, turn.y, turn.on_real.adversarial)
    fake = _inconsistency(arena, turn, turn.fake, turn.y_fake, turn.on_fake.adversarial)
    return {"d_bcr": arena.recipe.bcr * (real + fake)}


def _inconsistency(arena: Arena, turn: Turn, images: Tensor, y: Tensor, scored: Tensor) -> Tensor:
    changed = consistency.change(images, turn.rng, arena.recipe.cr_flip)
    return consistency.consistency(arena.real_score(scored), arena.rescore(turn, y)(changed))


def lecam_term(arena: Arena, turn: Turn) -> Terms:
    """LeCam: towards the anchors, which then move on; they are part of the run's state."""
    real, fake = arena.real_score(turn.on_real.adversarial), arena.real_score(turn.on_fake.adversarial)
    now = arena.mean_over_ranks(lecam.mean_scores(real, fake))
    anchors = lecam.updated_anchors(arena.memory.get("lecam"), now)
    arena.memory["lecam"] = anchors
    return {"d_lecam": arena.recipe.lecam * lecam.lecam(real, fake, anchors)}


def auxiliary_of_discriminator(arena: Arena, turn: Turn) -> Terms:
    """The auxiliary classifier on real images and on fakes, where there is one (Odena 2017)."""
    if turn.on_real.classes is None or turn.on_fake.classes is None:
        return {}
    both = losses.auxiliary(turn.on_real.classes, turn.y) + losses.auxiliary(
        turn.on_fake.classes, turn.y_fake
    )
    return {"d_classes": arena.by_strength(arena.recipe.aux_weight * both)}


def auxiliary_of_generator(arena: Arena, turn: Turn) -> Terms:
    """Fakes should be known as the class that they were made for."""
    if turn.on_fake.classes is None:
        return {}
    known = losses.auxiliary(turn.on_fake.classes, turn.y_fake)
    return {"g_classes": arena.by_strength(arena.recipe.aux_weight * known)}


def identity(arena: Arena, turn: Turn) -> Terms:
    """Each generator's images should be known as its own (Hoang 2018)."""
    known = madgan.identity(turn.on_fake.adversarial, arena.made_by(turn.fake))
    return {"g_identity": arena.recipe.generator_id_weight * known}


# Recipe field -> term. The order is that of their draws from the turn's stream: to change it changes results.
DISCRIMINATOR: Mapping[str, Term] = {
    "r1": r1,
    "r2": r2,
    "gp": gradient_penalty,
    "ct": consistency_term,
    "cr": consistency_on_real,
    "bcr": balanced_consistency,
    "lecam": lecam_term,
    "aux_weight": auxiliary_of_discriminator,
}
GENERATOR: Mapping[str, Term] = {"aux_weight": auxiliary_of_generator, "generator_id_weight": identity}


def asked_for(table: Mapping[str, Term], recipe: object) -> list[Term]:
    """The terms whose field of the recipe is not zero."""
    return [term for name, term in table.items() if getattr(recipe, name)]
