"""Three lines about a score: each passes, alarms, or says what it would take."""

import math

import pytest

from gangda.metrics.names import readable
from gangda.metrics.result import MetricResult
from gangda.scoring.answers import answers


def result(name, note="", value=0.9):
    return MetricResult(name, value, "target", 100, 100, note=note)


def words(metrics, notes=()):
    return [(one.answer, one.because) for one in answers(metrics, notes)]


def test_all_is_well():
    names = (
        "gan_test_lenet",
        "diversity_ratio_lenet_360",
        "diversity_ratio_pca_360",
        "memorisation_near_pixels",
    )
    labels, varied, copied = words([result(name) for name in names])
    assert labels == ("pass", "GAN-test, LeNet features")
    assert varied == ("pass", "diversity, principal components (n = 360)")
    assert copied == ("pass", "nearly training images, pixels")


def test_what_was_not_measured_says_what_it_takes():
    assert [answer for answer, _ in words([result("fid_lenet_360")])] == ["not measured"] * 3
    labels, varied, copied = words(
        [
            result("gan_test_lenet", "circular: a classifier labelled or filtered the samples"),
            result("diversity_ratio_pca_8", "too few images of each class", math.nan),
            result("memorisation_near_pixels", "n below 100: the tail is not defined"),
        ]
    )
    assert labels[0] == varied[0] == copied[0] == "not measured"
    assert "circular" in labels[1]
    assert "too few" in varied[1]
    assert "n below 100" in copied[1]


def test_alarms_belong_to_their_question():
    above = "ALARM 3.0 points above real held-out images: memorised"
    labels, varied, copied = words(
        [result("gan_test_lenet", above), result("cas_lenet", "ALARM 6 points below")]
    )
    assert (labels[0], varied, copied[0]) == ("pass", ("ALARM", "6 points below"), "not measured")
    below = "ALARM 30.0 points below real held-out images: too few steps"
    assert words([result("gan_test_lenet", below)])[0][0] == "ALARM"


def test_permuted_labels_alarm_beside_any_note_on_the_accuracy():
    alike = "ALARM samples of 'a' look like 'b' (9 of 10): are labels permuted?"
    for gap in (
        "0.4 points below real held-out images",
        "ALARM 3.0 points above real held-out images: typical",
    ):
        for note in (f"{alike}; {gap}", f"{gap}; {alike}"):
            answer, because = words([result("gan_test_lenet", note)])[0]
            assert answer == "ALARM"
            assert because.startswith("samples of 'a' look like 'b'")


def test_exact_copies_alarm_whatever_the_distances_say():
    notes = ["ALARM: 3 of 100 samples are exact copies of training images", "ALARM: something else"]
    found = words([result("memorisation_near_pixels")], notes)[2]
    assert found == ("ALARM", "3 of 100 samples are exact copies of training images")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("diversity_ratio_randconv_271", "diversity, random-convolution features (n = 271)"),
        ("fid_lenet_10k", "FID, LeNet features (n = 10,000)"),
        ("memorisation_near_pixels", "nearly training images, pixels"),
        ("gan_test_my:net", "GAN-test, my:net features"),
        ("cas_mine", "CAS, mine features"),
        ("modes_of_1000_500", "modes covered, of 1000 (n = 500)"),
        ("modes_kl_2k", "modes, KL to uniform (n = 2,000)"),
        ("unheard_of", "unheard_of"),
    ],
)
def test_names_that_a_person_reads(name, shown):
    assert readable(name) == shown
