"""The docs have a page, a row, a column or a section for every entry of a dict, and name files that are there."""

import re
from pathlib import Path

from segray.data.batches.augmentation import POLICIES
from segray.data.datasets import DATASETS
from segray.losses import LOSSES
from segray.models import MODELS
from segray.objective import SCORES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


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


def test_every_score_has_a_row():
    rows = re.search(r"^## The objective\n(.*?)^## ", page("sweeps.md"), re.MULTILINE | re.DOTALL)[1]
    assert set(SCORES) <= set(re.findall(r"`(val_\w+)`", rows))


def test_every_file_that_a_page_names_is_there():
    pages = [ROOT / "README.md", *DOCS.rglob("*.md")]
    named = {(page.name, path) for page in pages for path in re.findall(r"\b[a-z]+/[\w./]+\.py\b", page.read_text())}
    missing = {(page, path) for page, path in named if "NAME" not in path and not (ROOT / path).exists()}
    assert missing == set()
    assert len(named) > 100
