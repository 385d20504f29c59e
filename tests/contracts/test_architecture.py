"""The layout of the code keeps its promises, and docs/architecture.md names files and dicts that exist."""

import ast
import re
import subprocess
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from segray.config.keys import marks

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PACKAGES = ("segray", "dashboards")
SOURCES = {path: ast.parse(path.read_text()) for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))}
ROWS = [row for row in PAGE.split("\n## To add something\n")[1].splitlines() if row.startswith("| a")]

MAX_IMPORTS = 15
"""Most modules of the project that a module may import."""

PLAIN_VALUES = {"Color", "bool", "dict", "float", "int", "range", "str", "tuple"}
"""Values of dicts that are tables of data, not registries."""

MAX_CPU_SECONDS = 0.3
"""Most user and system time of `import segray`."""


@pytest.fixture(scope="module")
def imports():
    """Module -> modules of the project that it imports, inside functions and for types too."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def test_no_modules_import_each_other_in_a_circle(imports):
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(f"these modules import each other in a circle: {' <- '.join(error.args[1])}")


def test_no_module_imports_more_of_the_project_than_a_reader_can_hold(imports):
    assert {module: len(imported) for module, imported in imports.items() if len(imported) > MAX_IMPORTS} == {}


def named_paths(text):
    return re.findall(r"`((?:segray|dashboards|sweeps|docs|tests)/[\w/.-]*|README\.md|pyproject\.toml)`", text)


def test_every_file_and_folder_that_the_page_names_exists():
    paths = named_paths(PAGE)
    assert len(paths) > 50
    # NAME stands for the entry to add: its folder must hold such files.
    missing = [path for path in paths if not list(ROOT.glob(path.replace("NAME", "*")))]
    assert missing == []


def test_every_test_file_that_a_row_runs_exists():
    paths = re.findall(r"(?<=[ `])tests/[\w/.]+", " ".join(ROWS))
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_tree_of_the_page_has_every_room():
    tree = PAGE.split("```")[1]
    for folder in {path.parent for path in SOURCES} - {ROOT / name for name in PACKAGES}:
        assert f" {folder.name}/ " in tree, f"docs/architecture.md must name {folder.relative_to(ROOT)}"


def test_the_layers_of_the_page_are_those_that_make_check_holds():
    shown = PAGE.split("```")[3].splitlines()
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [layer.replace("segray.", "") for layer in contracts[0]["layers"]]
    # Studies lie above the package, where import-linter does not look.
    assert [line.split("  ")[0] for line in shown if line] == ["sweeps/", *layers]


def assigned_names(path):
    """Return the names that a module assigns at its top level."""
    found = set()
    for node in SOURCES[path].body:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found


def test_every_dict_that_a_row_names_is_in_the_file_that_it_names():
    pairs = [pair for row in ROWS for pair in re.findall(r"`([A-Z_]{4,})` in `((?:segray|dashboards)/[\w/.]+)`", row)]
    assert len(pairs) >= 10
    assert [(name, path) for name, path in pairs if name not in assigned_names(ROOT / path)] == []


def registries():
    """Yield the public dicts from names to functions, classes or objects, and what the marks of config keys name."""
    for path, tree in SOURCES.items():
        for node in tree.body:
            if not (isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict)):
                continue
            kind = re.search(r"dict\[str, ([\w.]+)", ast.unparse(node.annotation))
            name = ast.unparse(node.target)
            if kind and kind[1] not in PLAIN_VALUES and not name.startswith("_"):
                yield name, path.relative_to(ROOT)
    for mark in marks().values():
        if mark.registry:
            module, name = mark.registry.split(":")
            yield name, module


def test_every_registry_is_named_by_a_row():
    found = dict(registries())
    assert {"DATASETS", "MODELS", "LOSSES", "POLICIES", "RECIPES", "SAMPLERS", "SCHEDULERS", "FIGURES"} <= found.keys()
    unnamed = {name: str(where) for name, where in found.items() if f"`{name}`" not in " ".join(ROWS)}
    assert unnamed == {}, "docs/architecture.md needs a row that says how to add an entry"


def test_importing_segray_is_quick_and_loads_nothing_heavy():
    code = (
        "import sys, time; before = time.process_time(); import segray; "
        "print(time.process_time() - before, *(name for name in ('torch', 'ray', 'pandas') if name in sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    seconds, *heavy = ended.stdout.split()
    assert heavy == []
    assert float(seconds) < MAX_CPU_SECONDS
