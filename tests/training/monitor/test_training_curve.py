import pytest

from gangda.training.monitor.alarms import DEAD, DIVERGING, WINDOW, TrainingCurve


def curve(early, late, steps=WINDOW):
    made = TrainingCurve()
    for figures in [early] * WINDOW + [late] * steps:
        made.add(figures)
    return made


HEALTHY = {
    "d_loss": 1.3,
    "g_loss": 0.8,
    "d_accuracy": 0.62,
    "discriminator_gradient": 0.9,
    "generator_gradient": 0.7,
}


@pytest.mark.parametrize(
    ("late", "kinds"),
    [
        ({}, []),
        ({"d_accuracy": 0.5}, []),  # in balance: it guesses, but it still learns
        ({"d_accuracy": 0.5, "discriminator_gradient": 1e-3}, [DEAD]),
        ({"d_accuracy": 1.0}, []),
        ({"d_accuracy": 1.0, "generator_gradient": 1e-3}, [DEAD]),
        ({"d_loss": 2.0, "g_loss": -20.0}, []),
        ({"g_loss": -500.0}, [DIVERGING]),
    ],
)
def test_alarms_about_the_last_steps(late, kinds):
    made = curve(HEALTHY, {**HEALTHY, **late})
    assert [alarm.kind for alarm in made.alarms("advice")] == kinds


def test_a_discriminator_dead_from_the_start_is_found_too():
    dead = {**HEALTHY, "d_accuracy": 0.5, "discriminator_gradient": 0.0}
    assert [alarm.kind for alarm in curve(dead, {**dead, "g_loss": 0.7}).alarms("advice")] == [DEAD]


def test_a_short_trouble_is_none():
    assert (
        curve(HEALTHY, {**HEALTHY, "d_accuracy": 0.5, "discriminator_gradient": 0.0}, steps=5).alarms(
            "advice"
        )
        == []
    )


def test_the_curve_survives_a_checkpoint():
    made = curve(HEALTHY, {**HEALTHY, "g_loss": -500.0})
    again = TrainingCurve()
    again.load(made.dump())
    assert again.alarms("advice") == made.alarms("advice") != []


def test_a_short_run_is_judged_by_its_halves():
    made = TrainingCurve()
    assert made.alarms("advice") == []
    for step in range(8):
        made.add({**HEALTHY, "g_loss": 0.8 if step < 4 else -500.0})
    assert [alarm.kind for alarm in made.alarms("advice")] == [DIVERGING]
