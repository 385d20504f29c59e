"""Parse YAML that people write, and refuse values that YAML would misread, with their line."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Final

import yaml

from segray.errors import ConfigError
from segray.foreign import check_depth, check_nodes, in_short

QUOTING: Final = "put text in single quotes, in which YAML changes nothing"

_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class _Loader(yaml.SafeLoader):
    """A loader that reads 1e-4 as a number, as YAML 1.2 and JSON do; YAML 1.1 asks for a point and a sign."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def parse_yaml(text: str) -> object:
    """Return the content of a YAML document.

    Raises:
        ConfigError: The text is no YAML document, has a key twice, or has a value that YAML misreads.
    """
    return _parse(text)[0]


def parse_value(text: str) -> object:
    """Return a single value written in YAML, such as the value of ``--set``.

    Raises:
        ConfigError: As for ``parse_yaml``, or part of the text is a comment.
    """
    value, end = _parse(text)
    if text[end:].strip():
        raise ConfigError(f"{text[end:].strip()!r} would be left out as a comment; {QUOTING}")
    return value


def decode(content: bytes) -> str:
    """Return the text of a file saved as UTF-8, or as UTF-16 with a byte-order mark.

    Raises:
        ConfigError: The file is neither.
    """
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"not YAML: must be saved as UTF-8, but byte {error.start} is not; save it as UTF-8"
        ) from None


def _parse(text: str) -> tuple[object, int]:
    """Return the value and the position of its end in the text."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None, 0
        check_nodes(node)
        for problem in _problems(node, "", set()):
            raise ConfigError(problem)
        value = loader.construct_document(node)
        check_depth(value)
    except yaml.YAMLError as error:
        fix = QUOTING if "escape" in str(error) else f"if it is meant as text, {QUOTING}"
        raise ConfigError(f"not YAML: {error}; {fix}") from None
    except ConfigError:
        raise
    except Exception as error:  # PyYAML raises all kinds of errors for a tag that does not fit its value
        raise ConfigError(f"not YAML: {in_short(error)}") from None
    return value, node.end_mark.index


def _problems(node: yaml.Node, key: str, seen: set[int]) -> Iterator[str]:
    """Yield what is wrong with a node and the nodes below it; an alias is checked once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        yield from _repeated(node, key)
        for name, value in node.value:
            yield from _problems(value, f"{key}.{name.value}".lstrip("."), seen)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _problems(item, key, seen)
    else:
        assert isinstance(node, yaml.ScalarNode)
        if problem := _misread(node):
            yield f"{_where(node)}{f'{key}: ' if key else ''}{problem}"


def _repeated(node: yaml.MappingNode, key: str) -> Iterator[str]:
    first: dict[tuple[str, str], yaml.Node] = {}
    for name, _ in node.value:
        earlier = first.setdefault((name.tag, str(name.value)), name)
        if earlier is not name:
            whole = f"{key}.{name.value}".lstrip(".")
            yield (
                f"{_where(name)}{whole} must be there once, but is there twice, first in line "
                f"{earlier.start_mark.line + 1}; merge the two"
            )


def _misread(node: yaml.ScalarNode) -> str:
    """Return how YAML misreads a value; empty if YAML reads the value as a person would."""
    text, is_number = node.value, node.tag.endswith((":int", ":float"))
    if is_number and ":" in text:
        return f"YAML reads {text} as a number in base 60; quote it if it is text: {text!r}"
    if node.tag.endswith(":int") and _OCTAL.fullmatch(text):
        number = re.sub(r"^([-+]?)0+_*(?=\d)", r"\1", text)
        return f"YAML reads {text} as octal; write {number}, or quote it if it is text: {text!r}"
    if node.tag.endswith(":str") and _CONTROL.search(text):
        return f"text must be one line without control characters, but is {text!r} with its escapes; {QUOTING}"
    return ""


def _where(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}: "
