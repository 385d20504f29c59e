"""How far points are apart, with choices, conditional keys and ranges that differ from trial to trial."""

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from segray.tuning.freeze_thaw.encoding import Encoding

LR = FloatDistribution(1e-4, 1e-1, log=True)
ARCH = CategoricalDistribution(("Unet", "FPN", "PSPNet"))
BATCH = IntDistribution(2, 10)
MOMENTUM = FloatDistribution(0.5, 0.9)


def gaps(encoding, first, second):
    [[found]] = encoding.gaps(encoding.encode([first]), encoding.encode([second]))
    return dict(zip(encoding.keys, found.tolist(), strict=True))


def test_numbers_are_apart_by_their_place_in_the_range_and_choices_wholly():
    encoding = Encoding([{"lr": LR, "arch": ARCH, "batch": BATCH}])
    apart = gaps(encoding, {"lr": 1e-4, "arch": "Unet", "batch": 2}, {"lr": 1e-2, "arch": "PSPNet", "batch": 6})
    assert np.isclose(apart["lr"], 2 / 3), "on a log scale"
    assert apart["arch"] == 1.0
    assert apart["batch"] == 0.5


def test_a_key_that_one_point_lacks_is_wholly_apart_and_one_that_both_lack_is_not():
    encoding = Encoding([{"lr": LR, "momentum": MOMENTUM}, {"lr": LR}])
    with_key, without = {"lr": 1e-3, "momentum": 0.7}, {"lr": 1e-3}
    assert gaps(encoding, with_key, without) == {"lr": 0.0, "momentum": 1.0}
    assert gaps(encoding, without, without) == {"lr": 0.0, "momentum": 0.0}


def test_a_key_with_one_value_is_left_out_and_ranges_of_a_key_are_joined():
    one = {"lr": FloatDistribution(0.0, 0.0), "batch": IntDistribution(2, 6)}
    other = {"lr": FloatDistribution(0.0, 0.0), "batch": IntDistribution(4, 10)}
    encoding = Encoding([one, other])
    assert encoding.keys == ("batch",)
    assert gaps(encoding, {"batch": 2}, {"batch": 10}) == {"batch": 1.0}
    widened = Encoding([{"batch": IntDistribution(4, 4)}, other])
    assert gaps(widened, {"batch": 4}, {"batch": 7}) == {"batch": 0.5}


def test_a_choice_that_is_a_list_has_a_place():
    encoding = Encoding([{"crop": CategoricalDistribution([[32, 48], [64, 96]])}])
    assert gaps(encoding, {"crop": [32, 48]}, {"crop": [64, 96]}) == {"crop": 1.0}
