import pytest

from segray.config import RunConfig, parse_yaml, read_yaml, run_config, to_yaml
from segray.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("-2E3", -2000.0),
        ("[1e-1, 1]", [0.1, 1]),
        ("1.5e+2", 150.0),
        ("1e4x", "1e4x"),
        ("12", 12),
        ("off", False),
    ],
)
def test_numbers_with_an_exponent_are_numbers(text, value):
    assert parse_yaml(text) == value


def test_yaml_round_trip_keeps_every_value(tmp_path):
    config = RunConfig().with_values({"data.crop_px": [64, 96], "train.patience": 3, "model.encoder": "tu-resnet18"})
    path = tmp_path / "run.yaml"
    path.write_text(to_yaml(config))
    assert read_yaml(path) == config


def test_a_discriminators_optimiser_keeps_its_own_defaults_where_a_file_gives_some_of_its_keys():
    assert run_config({"gan": {"optim": {"lr": 1e-4}}}) == RunConfig().with_values({"gan.optim.lr": 1e-4})
    assert run_config({"gan": {"optim": {}}}) == RunConfig()


def test_yaml_has_a_line_of_help_above_every_field():
    lines = to_yaml(RunConfig()).splitlines()
    for above, line in zip(["", *lines], lines, strict=False):
        if not line.lstrip().startswith("#"):
            assert above.lstrip().startswith("# "), line
            assert "None" not in above


def test_yaml_has_a_note_between_the_help_and_the_field_that_it_is_for():
    lines = to_yaml(RunConfig(), {"optim.lr": "as published"}).splitlines()
    at = lines.index("  # as published")
    assert lines[at - 1 : at + 2] == ["  # Peak learning rate", "  # as published", "  lr: 0.001"]
    assert len(lines) == len(to_yaml(RunConfig()).splitlines()) + 1


def test_flat_and_with_values_are_inverse():
    config = RunConfig().with_values({"optim.lr": 0.02, "loss.name": "dice"})
    assert RunConfig().with_values(config.flat()) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model.encodr": "x"}, "did you mean 'model.encoder'"),
        ({"data.folder": {}}, "unknown config key 'data.folder'"),
        ({"optim.lr": -1.0}, "optim.lr: input should be greater than 0, but got -1.0"),
        ({"seed": 2**32}, "seed: input should be less than 4294967296, but got 4294967296"),
        (
            {"data.split.sizes": [float("nan"), 1, 1]},
            "data.split.sizes.0: input should be a finite number, but got nan",
        ),
        ({"data.pairs.max_distance": float("inf")}, "should be a finite number, but got inf"),
        ({"optim.name": "adamv"}, "'adamw', 'adam' or 'sgd'"),
        ({"data.pairs.num_clusters": 1}, "data.pairs.num_clusters: input should be greater than or equal to 2"),
    ],
)
def test_wrong_values_name_key_rule_and_value(values, message):
    with pytest.raises(ConfigError) as error:
        RunConfig().with_values(values)
    assert message in str(error.value)


def test_every_unknown_key_is_named():
    with pytest.raises(ConfigError) as error:
        run_config({"modl": {}, "train": {"epoch": 3}})
    assert "modl" in str(error.value)
    assert "did you mean 'train.epochs'" in str(error.value)


def test_unreadable_and_malformed_files(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        read_yaml(tmp_path / "missing.yaml")
    path = tmp_path / "bad.yaml"
    path.write_text("a: [")
    with pytest.raises(ConfigError, match="not YAML"):
        read_yaml(path)
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ConfigError, match="not YAML"):
        read_yaml(path)
    path.write_text("- 1")
    with pytest.raises(ConfigError, match="mapping"):
        read_yaml(path)
