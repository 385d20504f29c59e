"""Random text that people could type (configs, values, sizes, storage) gives a right value or a SegrayError."""

import contextlib

from damage import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from segray.cli.sizes import parse_size
from segray.config import RunConfig, parse_yaml, read_yaml, run_config
from segray.errors import SegrayError
from segray.folder import open_folder
from segray.shown import printable, redacted
from segray.tuning.options import parse_values

PIECES = [
    *(
        "data",
        "train",
        "epochs",
        "optim",
        "lr",
        "folder",
        "classes",
        "seed",
        "<<",
        "a",
        "1",
        "1e-3",
        ".nan",
        "0x1F",
        "010",
    ),
    *(
        ": ",
        ":",
        "\n",
        "\n  ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "&a ",
        "*a",
        "? ",
        "| ",
        "> ",
        "# ",
        "'",
        '"',
        "\\",
        "%",
        "@",
    ),
    *("!!int ", "!!float ", "!!timestamp ", "!!binary ", "!!bool ", "!!set ", "!!omap ", "!!python/object:x ", "!x "),
    *("2001-99-99", "1:99", "~", "true", "=", "\x00", "\x85", "\ud800", "é", "\U0001f600", "---", "...", "\t"),
]
yaml_text = st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.text(max_size=30)
KEYS = RunConfig().flat()


@fuzzed()
@given(yaml_text)
def test_yaml(text):
    try:
        tree = parse_yaml(text)
        config = run_config(tree)
    except SegrayError as error:
        assert str(error)  # noqa: PT017
    else:
        assert RunConfig.model_validate(config.model_dump(mode="json")) == config


@fuzzed()
@given(st.binary(max_size=60) | yaml_text.map(lambda text: text.encode(errors="surrogatepass")))
def test_config_files(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_bytes(content)
    with contextlib.suppress(SegrayError):
        assert isinstance(read_yaml(path), RunConfig)


@fuzzed()
@given(st.sampled_from(list(KEYS)), yaml_text)
def test_set(key, text):
    try:
        values = parse_values([f"{key}={text}"], KEYS)
        config = RunConfig().with_values(values)
    except SegrayError:
        return
    assert set(values) == {key}
    assert isinstance(config, RunConfig)


@fuzzed()
@given(st.text("0123456789x²٣-. ", max_size=8) | st.text(max_size=8))
def test_size(text):
    try:
        height, width = parse_size("--size", text)
    except SegrayError:
        return
    assert min(height, width) >= 1


@fuzzed()
@given(
    st.sampled_from(["", "file://", "file:///", "mock://", "x://", "://", "FILE://", "s4://k:v@"]), st.text(max_size=20)
)
def test_storage(scheme, text):
    try:
        folder = open_folder(scheme + text)
        folder.exists("sweep.json")
    except SegrayError as error:
        assert "k:v@" not in str(error)  # noqa: PT017


@fuzzed()
@given(st.text())
def test_what_is_shown(text):
    shown = printable(redacted(text))
    assert not any(letter in shown for letter in "\x1b\r\x07\u202e")
    shown.encode()
