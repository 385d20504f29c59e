import re

import pytest

from segray.errors import ConfigError
from segray.losses import LOSSES
from segray.losses.weighted_sum import parse_terms


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("dice", {"dice": 1.0}),
        ("0.5*cross_entropy+dice", {"cross_entropy": 0.5, "dice": 1.0}),
        (" 2 * focal + 1e-1 * lovasz ", {"focal": 2.0, "lovasz": 0.1}),
    ],
)
def test_terms_are_read(text, terms):
    assert parse_terms(text, LOSSES) == terms


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("boundry", "unknown loss 'boundry'; did you mean 'boundary'?"),
        ("focal_tverski", "unknown loss 'focal_tverski'; did you mean 'focal_tversky'"),
        ("dise", "unknown loss 'dise'; did you mean 'dice'?"),
        ("cross_entropy+lovas", "unknown loss 'lovas'; did you mean 'lovasz'? (in loss.name='cross_entropy+lovas')"),
        ("", "unknown loss ''; choose from boundary, cross_entropy, dice"),
        ("dice+", "unknown loss ''"),
        ("half*dice", "the weight of a loss must be a positive number, but got 'half' in loss.name='half*dice'"),
        ("0*dice", "but got '0'"),
        ("-1*dice", "but got '-1'"),
        ("nan*dice", "but got 'nan'"),
        ("inf*dice", "but got 'inf'"),
        ("*dice", "but got ''"),
        ("dice+2*dice", "may appear only once in a sum, but 'dice' appears twice"),
    ],
)
def test_what_cannot_be_read_is_named(text, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        parse_terms(text, LOSSES)
