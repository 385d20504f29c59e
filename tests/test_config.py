import codecs

import pytest

from segray.config import RunConfig, parse_yaml, read_yaml, run_config, to_yaml
from segray.errors import ConfigError
from segray.tuning.options import parse_values


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


TWICE = """\
optim: {name: sgd, lr: 0.05}
train: {epochs: 40}
optim: {weight_decay: 0.001}
"""
MERGED = """\
optim: &base {name: sgd, lr: 0.05}
gan: {discriminator: patchgan, optim: {<<: *base, lr: 0.001}}
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TWICE, "line 3: optim must be there once, but is there twice, first in line 1"),
        ("optim:\n  lr: 1\n  'lr': 2\n", "line 3: optim.lr must be there once, but is there twice, first in line 2"),
        ('{"seed": 1, "seed": 1}', "line 1: seed must be there once"),
        ("gan: &a {optim: {lr: 1, lr: 2}}\nmodel: *a\n", "gan.optim.lr must be there once"),
        ("a: &a {x: 1}\nb: {<<: *a, <<: *a}", "b.<< must be there once"),
        (
            "train: {epochs: 010}",
            "line 1: train.epochs: YAML reads 010 as octal; write 10, or quote it if it is text: '010'",
        ),
        ("data: {exclude: [0001]}", "data.exclude: YAML reads 0001 as octal; write 1, or quote"),
        ("train: {epochs: 1:30}", "YAML reads 1:30 as a number in base 60; quote it if it is text: '1:30'"),
        (
            'data: {root: "C:\\new"}',
            "text must be one line without control characters, but is 'C:\\new' with its escapes",
        ),
        ('data: {root: "C:\\data"}', "unknown escape character 'd'"),
        ('data: {root: "C:\\data"}', "put text in single quotes, in which YAML changes nothing"),
        (
            "data: {folder: {classes: [sky, no]}}",
            "data.folder.classes.1: input should be a valid string, but got False, which is how YAML reads no, off and "
            "false; if it is meant as text, quote it: 'no'",
        ),
        ("data: {folder: {classes: [on]}}", "yes, on and true"),
        ("data: {folder: {classes: [~]}}", "null, ~ and nothing at all"),
        ("data: {folder: {classes: [2024-01-01]}}", "quote it: '2024-01-01'"),
        ("data: {folder: {classes: [7]}}", "quote it: '7'"),
        (
            "data: {folder: {images: {photos}}}",
            "data.folder.images: input should be a valid string, but got {'photos': None}",
        ),
        ("train: {epochs: yes}", "train.epochs: must be a number, but got True"),
        ("data: {resize_px: [yes, 64]}", "must be a number"),
    ],
)
def test_what_yaml_reads_as_something_else_is_refused_with_the_fix(tmp_path, text, message):
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read_yaml(path)
    assert message in str(error.value)


def test_a_merged_key_may_be_given_anew(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(MERGED)
    config = read_yaml(path)
    assert (config.optim.lr, config.gan.optim.lr, config.gan.optim.name) == (0.05, 0.001, "sgd")


@pytest.mark.parametrize(
    ("text", "value"),
    [("08", "08"), ("0x1F", 31), (".5", 0.5), ("1_000", 1000), ("'010'", "010"), ("0", 0), ("-0.5", -0.5), ("", None)],
)
def test_what_reads_as_it_looks_stays(text, value):
    assert parse_yaml(text) == value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_file_is_read_in_the_encodings_that_editors_save(tmp_path, encoding):
    path = tmp_path / "run.yaml"
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    path.write_bytes(mark + "data: {folder: {classes: [Straße]}}\r\ntrain: {epochs: 3}\r\n".encode(encoding))
    config = read_yaml(path)
    assert (config.train.epochs, config.data.folder.classes) == (3, ("Straße",))


def test_another_encoding_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_bytes("data: {root: Straße}".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"run\.yaml': not YAML: must be saved as UTF-8, but byte 17"):
        read_yaml(path)


def test_a_data_set_is_no_text_where_a_flag_is_meant():
    assert RunConfig().with_values({"train.channels_last": False}).train.channels_last is False


KEYS = RunConfig().flat()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("data.exclude=[a, b]", ["a", "b"]),
        ("data.root=C:\\new", "C:\\new"),
        ("data.root='C:\\new: #1'", "C:\\new: #1"),
        ("data.root=a=b", "a=b"),
        ("data.root=a#b", "a#b"),
        ("optim.lr=1e-3", 1e-3),
    ],
)
def test_a_value_on_the_command_line_is_yaml(text, value):
    assert parse_values([text], KEYS) == {text.partition("=")[0]: value}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('data.root="C:\\data"', "unknown escape character 'd'"),
        (
            'data.root="C:\\data"',
            "put text in single quotes, in which YAML changes nothing: --set \"data.root='C:\\data'\"",
        ),
        ('data.root="C:\\new"', "--set \"data.root='C:\\new'\""),
        ("data.root=/data #1", "'#1' would be left out as a comment"),
        ("data.root=#1", "'#1' would be left out as a comment"),
        ("data.folder.images={split}/photos", "--set \"data.folder.images='{split}/photos'\""),
        ("data.root=[a", "--set \"data.root='[a'\""),
        ("data.root=a: b: c", "mapping values are not allowed here"),
        ("data.root=*", "--set \"data.root='*'\""),
        ("data.root=it's [", None),
        ("train.epochs=010", "YAML reads 010 as octal; write 10"),
    ],
)
def test_a_value_that_is_no_yaml_says_how_to_quote_it(text, message):
    if message is None:
        assert parse_values([text], KEYS) == {"data.root": "it's ["}
        return
    with pytest.raises(ConfigError) as error:
        parse_values([text], KEYS)
    assert message in str(error.value)


def test_a_key_set_twice_is_refused():
    with pytest.raises(ConfigError, match=r"--set must give optim\.lr once, but gives it again as 'optim\.lr=2'"):
        parse_values(["optim.lr=1", "optim.lr=2"], KEYS)


def bomb(seed, repeated):
    """Return YAML with nine levels that each repeat the level before nine times."""
    levels = (f"a{n}: &a{n} {repeated.format(', '.join([f'*a{n - 1}'] * 9))}\n" for n in range(1, 10))
    return f"a0: &a0 {seed}\n" + "".join(levels)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: " + "[" * 5000, "levels deep"),
        ("{a: " * 60 + "1" + "}" * 60, "levels deep"),
        (bomb("[x]", "[{}]"), "more than"),
        (bomb("{k: 1}", "{{<<: [{}]}}"), "more than"),
        ("a: &a [*a]", "holds itself"),
        ("seed: !!timestamp abc", "not YAML"),
        ("seed: !!int abc", "not YAML"),
        ("seed: 2001-99-99", "not YAML"),
        ("seed: !!bool abc", "not YAML"),
    ],
)
def test_a_config_file_that_would_not_end_is_refused_at_once(tmp_path, text, why):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=why):
        read_yaml(path)


def test_aliases_within_reason_are_read(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("data: {resize_px: &size [64, 128], crop_px: *size}\n")
    assert read_yaml(path).data.crop_px == (64, 128)
