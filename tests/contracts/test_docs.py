"""The docs have a page, a row, a column or a section for every entry of a dict, and name files that are there."""

import re
from pathlib import Path

import pytest

from dashboards.figures import FIGURES
from segray.data.batches.augmentation import POLICIES
from segray.data.datasets import DATASETS
from segray.inference.outputs import KINDS
from segray.losses import LOSSES
from segray.models import MODELS
from segray.objective import SCORES
from segray.recipes import RECIPES
from segray.tuning.callbacks import CALLBACKS, DEFAULT_CALLBACKS
from segray.tuning.samplers import SAMPLERS
from segray.tuning.schedulers import SCHEDULERS

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
    columns = re.findall(r"`(\w+)`", head)
    assert columns == list(POLICIES), "docs/augmentation.md needs a column for each policy, in the dict's order"


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


@pytest.mark.parametrize(("title", "names"), [("Samplers", SAMPLERS), ("Schedulers", SCHEDULERS)])
def test_every_sampler_and_scheduler_has_a_row(title, names):
    section = page("sweeps.md").split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)`", section, re.MULTILINE)
    assert rows == list(names), f"section {title} of docs/sweeps.md needs a row for each name, in the dict's order"


@pytest.mark.parametrize("option", ["--sampler", "--scheduler", "--callback"])
def test_the_readme_names_every_choice_of_an_option(option):
    [row] = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith(f"| `{option}`")]
    choices = {"--sampler": SAMPLERS, "--scheduler": SCHEDULERS, "--callback": set(CALLBACKS) - set(DEFAULT_CALLBACKS)}
    missing = [name for name in choices[option] if f"`{name}`" not in row]
    assert missing == [], f"the row of {option} in README.md lacks them"


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_has_a_paragraph(name):
    assert f"**{FIGURES[name].title}.**" in page("report.md"), "docs/report.md, What the report says, needs it"


@pytest.mark.parametrize("name", CALLBACKS)
def test_every_callback_has_a_row(name):
    assert re.search(rf"^\| `{name}` \|", page("callbacks.md"), re.MULTILINE), "docs/callbacks.md needs it"


def test_every_kind_of_file_that_predict_writes_has_a_row():
    rows = re.findall(r"^\| `(\w+)` \|", page("predict.md"), re.MULTILINE)
    assert rows == list(KINDS), "docs/predict.md needs a row for each kind, in the dict's order"


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_has_a_section(name):
    assert re.search(rf"^## {name}$", page("recipes.md"), re.MULTILINE), "docs/recipes.md needs it"
