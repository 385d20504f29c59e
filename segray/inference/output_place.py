"""Where predictions go: a folder must be new, empty or asked for; a single picture is replaced."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from segray.data.files.encode import PICTURES, check_picture
from segray.errors import ConfigError, StorageError, unknown_name
from segray.files import check_new_folder, expanded
from segray.folder import Folder, open_folder
from segray.inference.outputs import KINDS, Outputs, PictureFile, PredictionFolder

Existing = Literal["refuse", "overwrite", "resume"]
"""The treatment of files that are in the output folder already"""

DEFAULT_FOLDER: Final = "predictions"


def parse_kinds(text: str) -> tuple[str, ...]:
    """Parse ``overlay,label_ids`` into kinds of files, in the order of KINDS.

    Raises:
        ConfigError: There is no such kind, or none is named.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in KINDS:
            raise ConfigError(unknown_name("kind of file in --save", name, KINDS))
    if not names:
        raise ConfigError(f"--save must name kinds of files, any of {', '.join(KINDS)}, but names none")
    return tuple(kind for kind in KINDS if kind in names)


def open_outputs(
    output: str | None,
    kinds: Sequence[str],
    inputs: Sequence[Path],
    *,
    is_one_photo: bool,
    existing: Existing = "refuse",
) -> Outputs:
    """Return where predictions are written; nothing is made yet.

    Args:
        output: A folder or its URL, or a .png or .jpg file for a single photo; None chooses by the number of photos.
        kinds: Kinds of files.
        inputs: Files that the command reads.
        is_one_photo: Whether there is one photo, and no video.
        existing: What happens with files that are there.

    Raises:
        ConfigError: One file is named for several photos or kinds.
        StorageError: The output would replace an input, or lies among a sweep's files; or the folder has files.
    """
    if output is None:
        one_picture = is_one_photo and len(kinds) == 1 and KINDS[kinds[0]].picture is not None
        output = f"{kinds[0]}.png" if one_picture else DEFAULT_FOLDER
    if names_picture(output):
        if not is_one_photo:
            raise ConfigError(
                f"-o {output} names one file, but there are several photos or frames; name a folder without extension"
            )
        return _picture(output, kinds, inputs)
    folder = open_folder(output)
    if folder.is_local:
        _check_place(Path(folder.path), inputs)
    _check_content(folder, existing)
    return PredictionFolder(folder=folder, kinds=tuple(kinds))


def check_outside_data(outputs: Outputs, data_root: str) -> None:
    """Check that predictions are not written into a data set.

    Raises:
        StorageError: They would be.
    """
    if isinstance(outputs, PictureFile):
        check_picture(outputs.path, data_root=data_root)
    elif outputs.folder.is_local:
        check_new_folder(Path(outputs.folder.path), data_root)


def names_picture(output: str) -> bool:
    """Return whether an output is named as one picture, by its extension."""
    path = expanded(output)
    return "://" not in output and path.suffix.lower() in PICTURES and not path.is_dir()


def _picture(output: str, kinds: Sequence[str], inputs: Sequence[Path]) -> PictureFile:
    pictures = [kind for kind, known in KINDS.items() if known.picture is not None]
    if len(kinds) != 1 or kinds[0] not in pictures:
        raise ConfigError(
            f"-o {output} names one picture, so --save must be one of {', '.join(pictures)}, but is "
            f"{','.join(kinds)}; name a folder without extension"
        )
    return PictureFile(path=check_picture(Path(output), inputs=inputs), kind=kinds[0])


def _check_place(folder: Path, inputs: Sequence[Path]) -> None:
    # A file in the folder: a sweep's own folder is refused, too.
    check_new_folder(folder / "overlay")
    target = folder.resolve()
    for path in inputs:
        if path.resolve().is_relative_to(target):
            raise StorageError(
                f"cannot write to {str(folder)!r}: it holds the input {str(path)!r}; name another folder with -o"
            )
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not there.is_dir():
        raise StorageError(f"cannot write to {str(folder)!r}: {str(there)!r} is a file; name a folder with -o")


def _check_content(folder: Folder, existing: Existing) -> None:
    names = [name for name in folder.names() if not name.startswith(".")]
    if not names or existing != "refuse":
        return
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    raise StorageError(
        f"the output folder {folder.path!r} must be new or empty, but holds {shown}; name another with -o, or pass "
        "--overwrite to replace predictions of the same names, or --resume to keep them and predict the rest"
    )
