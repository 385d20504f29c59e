"""Command-line options from the fields of declarations, and ``--set``; imports nothing heavy, so --help is quick."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, TypeVar, get_args, get_origin, get_type_hints

import typer

from segray.errors import ConfigError, unknown_name
from segray.objective import CLASS_IOU, PROPERTIES, SCORES
from segray.option import Option
from segray.tuning.callbacks import CALLBACKS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Declaration = TypeVar("Declaration")

RESUME = Option("Continue the sweep or run of this --name")
RETRY_FAILED = Option("With --resume: go on with what has failed, from its last checkpoint")
STORAGE = Option("Path or URL of the folder that holds the sweeps' folders")
_SCORE = f"{', '.join(SCORES)}, or {CLASS_IOU}CLASS"
OBJECTIVE = Option(f"The score by which an epoch is the best one: {_SCORE}", metavar="SCORE", type=str)
OBJECTIVES = Option(
    f"What trials are compared by, first a score: {_SCORE}; may be repeated, also with {', '.join(PROPERTIES)}",
    name="--objective",
    metavar="NAME",
    type=list[str],
)
CONSTRAINT = Option(
    f"A bound that a trial must meet before its first epoch, such as 'latency_ms <= 30', on {', '.join(PROPERTIES)}; "
    "may be repeated",
    name="--constraint",
    metavar="BOUND",
    type=list[str],
)
WARM_START = Option(
    "An earlier sweep to start from, or portfolio: good configs that come with segray; may be repeated",
    metavar="RUN",
    type=list[str],
)
CALLBACK = Option(
    "A tracker that hears of every trial and epoch; may be repeated, and adds to the study's own (default: gauges)",
    name="--callback",
    metavar=f"[{'|'.join(CALLBACKS)}]",
    type=list[str],
)

EncoderWeights = Annotated[
    str | None, typer.Option(help="none, imagenet, auto, a file, or a folder with a file for each encoder")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A config key, such as data.classes=categories; may be repeated"),
]


def add_options(command: Callable[..., None], *declarations: DataclassInstance) -> Callable[..., None]:
    """Give a command an option for each field that carries an ``Option``, in place of its ``**given``.

    Args:
        command: Its last parameter takes the options' values by the fields' names, as keywords.
        declarations: Dataclass objects, whose values are the defaults; declarations inside them count too.

    Returns:
        The command.
    """
    # The module of a command may postpone annotations, but typer needs the types themselves.
    *own, _ = inspect.signature(command, eval_str=True).parameters.values()
    added = [parameter for declaration in declarations for parameter in _parameters(declaration)]
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in (*own, *added)]
    )
    return command


def with_options(declaration: Declaration, given: Mapping[str, object]) -> Declaration:
    """Return a declaration with the values that a command got for its fields, and for those of declarations inside."""
    changed: dict[str, object] = {}
    for name, value in vars(declaration).items():
        if is_dataclass(value):
            changed[name] = with_options(value, given)
        elif name in given:
            changed[name] = given[name]
    return replace(declaration, **changed)  # type: ignore[type-var]


def _parameters(declaration: DataclassInstance | type[DataclassInstance]) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(type(declaration), include_extras=True)
    for field in fields(declaration):
        value = getattr(declaration, field.name)
        option = _option(hints[field.name])
        if option is not None:
            yield _parameter(field.name, option, get_args(hints[field.name])[0], value)
        elif is_dataclass(value):
            yield from _parameters(value)


def _option(hint: object) -> Option | None:
    extras = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((extra for extra in extras if isinstance(extra, Option)), None)


def _parameter(field: str, option: Option, kind: object, default: object) -> inspect.Parameter:
    name = option.name or f"--{field.replace('_', '-')}"
    names = [name, option.older_name] if option.older_name else [name]
    info = typer.Option(*names, help=option.help, metavar=option.metavar)
    return inspect.Parameter(
        field,
        inspect.Parameter.KEYWORD_ONLY,
        # An object, such as a study's own sampler, cannot be typed; None keeps it.
        default=default if option.type is None or _is_typed(default, option.type) else None,
        annotation=Annotated[option.type or kind, info],
    )


def _is_typed(value: object, kind: object) -> bool:
    return isinstance(kind, type) and isinstance(value, kind)


def parse_values(
    texts: Sequence[str] | None, keys: Iterable[str], own_options: Mapping[str, str] = MappingProxyType({})
) -> dict[str, object]:
    """Return the values of ``--set`` by dotted key.

    Args:
        texts: ``KEY=VALUE`` texts, the values in YAML.
        keys: Keys that exist.
        own_options: Keys that have an option of their own -> the option.

    Raises:
        ConfigError: A text has another form, or its key does not exist, has its own option, or is given twice.
    """
    values: dict[str, object] = {}
    for text in texts or ():
        key, value = key_and_value("--set", text, "data.classes=categories")
        if key not in keys:
            raise ConfigError(unknown_name("key in --set", key, keys))
        if key in own_options:
            raise ConfigError(f"--set cannot give {key}, which {own_options[key]} gives")
        if key in values:
            raise ConfigError(f"--set must give {key} once, but gives it again as {text!r}; leave one of the two out")
        values[key] = value
    return values


def parse_point(texts: Sequence[str]) -> dict[str, object]:
    """Return the values of a point by dotted key; the sweep that it is for knows which keys it searches.

    Args:
        texts: ``KEY=VALUE`` texts, the values in YAML.

    Raises:
        ConfigError: A text has another form, or its key is given twice.
    """
    values: dict[str, object] = {}
    for text in texts:
        key, value = key_and_value("a point", text, "optim.lr=0.001")
        if key in values:
            raise ConfigError(f"a point must give {key} once, but gives it again as {text!r}; leave one of the two out")
        values[key] = value
    return values


def key_and_value(option: str, text: str, example: str) -> tuple[str, object]:
    """Return name and value of a ``NAME=VALUE`` text, the value read as YAML.

    Args:
        option: The option that it was given with, such as ``--set``.
        text: What was given.
        example: A text that is right, for the message.

    Raises:
        ConfigError: The text has another form, or its value is not YAML as it looks.
    """
    # Pydantic and YAML, which --help does without.
    from segray.config import QUOTING, parse_value

    key, equals, value = text.partition("=")
    if not equals:
        form = "NAME=VALUE" if option == "--sampler-option" else "KEY=VALUE"
        raise ConfigError(f"{option} must be {form}, such as {example}, but got {text!r}")
    try:
        return key, parse_value(value)
    except ConfigError as error:
        quoted = value.strip().strip("\"'").replace("'", "''")
        quoting = f": {option} \"{key}='{quoted}'\"" if str(error).endswith(QUOTING) else ""
        raise ConfigError(f"the value in {option} {text!r} must be YAML as it looks: {error}{quoting}") from None
