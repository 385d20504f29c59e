"""The docs have a page, a row, a column or a section for every entry of a dict."""

import re
from pathlib import Path

from segray.data.batches.augmentation import POLICIES
from segray.data.datasets import DATASETS
from segray.losses import LOSSES
from segray.models import MODELS

DOCS = Path(__file__).parents[2] / "docs"


def page(name):
    return (DOCS / name).read_text()


def test_every_data_set_has_a_page_and_a_row_and_no_other_has():
    assert {path.stem for path in (DOCS / "datasets").glob("*.md")} == set(DATASETS)
    rows = re.findall(r"^\| \[(\w+)\]\(datasets/(\w+)\.md\)", page("data.md"), re.MULTILINE)
    assert sorted(rows) == sorted((name, name) for name in DATASETS)


def test_every_loss_has_a_row():
    assert set(LOSSES) <= set(re.findall(r"^\| `(\w+)` \|", page("losses.md"), re.MULTILINE))


def test_every_augmentation_policy_has_a_column():
    head = next(line for line in page("augmentation.md").splitlines() if line.startswith("| strength"))
    assert re.findall(r"`(\w+)`", head) == list(POLICIES)


def test_every_model_family_has_a_row():
    assert set(MODELS) <= set(re.findall(r"^\| \[?`(\w+)`", page("models.md"), re.MULTILINE))
