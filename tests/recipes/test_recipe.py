import re
from itertools import pairwise
from pathlib import Path

import pytest

from segray.config import RunConfig, read_yaml
from segray.data.datasets import DATASETS
from segray.errors import ConfigError
from segray.recipes import RECIPES, find_recipe, recipe_yaml

DOCS = Path(__file__).parents[2] / "docs"
every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


@every_recipe
def test_what_differs_from_the_default_has_a_source(recipe):
    default, flat = RunConfig().flat(), recipe.config.flat()
    differing = {key for key, value in flat.items() if value != default[key]}
    assert differing <= recipe.sources.keys()
    assert all(recipe.sources.values())


@every_recipe
def test_a_recipe_says_whose_it_is_and_what_differs(recipe):
    assert RECIPES[recipe.name] is recipe
    assert recipe.dataset in DATASETS
    assert recipe.config.data.root == ""
    assert recipe.url.startswith("https://github.com/")
    assert "\n" not in recipe.summary
    assert all(published and here and why for published, here, why in recipe.differences)


@every_recipe
def test_docs_show_a_recipe_with_its_source_picture_and_differences(recipe):
    page = (DOCS / "recipes.md").read_text()
    [section] = re.findall(rf"^## {recipe.name}\n(.*?)(?=^## )", page, flags=re.DOTALL | re.MULTILINE)
    [picture] = re.findall(r"!\[.*\]\((images/.*\.png)\)", section)
    assert (DOCS / picture).is_file()
    assert recipe.url.split()[0] in section
    assert "| setting | published | segray | why different |" in section


@every_recipe
def test_the_yaml_of_a_recipe_is_its_config(recipe, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(recipe_yaml(recipe))
    assert read_yaml(path) == recipe.config


@every_recipe
def test_the_yaml_has_the_source_above_every_value_that_the_recipe_sets(recipe):
    lines = [line.strip() for line in recipe_yaml(recipe).splitlines()]
    sourced = {(name.split(":")[0], above) for above, name in pairwise(lines) if above.startswith("# source: ")}
    assert sourced == {(key.rpartition(".")[2], f"# source: {source}") for key, source in recipe.sources.items()}


@every_recipe
def test_the_yaml_begins_with_source_result_and_differences(recipe):
    head = " ".join(recipe_yaml(recipe).partition("\n\n")[0].replace("\n#", "").split())
    for text in (recipe.summary, recipe.url, recipe.published or "Published result: none"):
        assert text in head
    assert all(text in head for difference in recipe.differences for text in difference)


def test_a_misspelt_recipe_gets_the_nearest_name():
    with pytest.raises(ConfigError, match="unknown recipe 'kitti_fcn8'; did you mean 'kitti_fcn8s'"):
        find_recipe("kitti_fcn8")
