"""write_report(): write a sweep as one HTML file that needs no network, program or other file."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from dashboards.evaluation import describe
from dashboards.figures import FIGURES, Figure, NothingToDrawError
from dashboards.figures.style import OUTCOME_COLORS
from dashboards.summary import summarise
from segray import text
from segray.files import output_path
from segray.folder import open_folder
from segray.results import SweepResults, load


@dataclass(frozen=True)
class Section:
    """A figure in the report, or the sentence in its place."""

    name: str
    figure: Figure
    json: Markup
    missing: str


def write_report(path: str | Path, output: str | Path, *, location: str | None = None) -> int:
    """Write the report of a sweep that is finished, running or dead.

    Args:
        path: The sweep's folder or URL.
        output: The HTML file, in a folder that exists; an older report is replaced.
        location: The sweep's folder or URL as a person typed it, for the report's commands; None for ``path``.

    Returns:
        Size of the file in bytes.

    Raises:
        StorageError: There is no sweep, it cannot be read, or the file cannot be written.
    """
    # Refused before the sweep is read, which may take long on an object store.
    target = output_path(output)
    results = load(path)
    # Checked again, now that the data set is known. A report may lie beside the sweep's files, but not in the data set.
    if target.parent != Path(results.files.folder.path).resolve():
        output_path(output, data_root=str(results.info.base.get("data.root") or ""))
    content = render_report(results, location or str(path)).encode()
    open_folder(target.parent).write_bytes(target.name, content)
    return len(content)


def render_report(results: SweepResults, location: str = "") -> str:
    """Return the report as HTML, with everything embedded and all text from the sweep escaped.

    Args:
        results: The sweep.
        location: Its folder or URL as a person typed it, for the commands; empty for its name.
    """
    return (
        _environment()
        .get_template("report.html")
        .render(
            summary=summarise(results, location),
            evaluation=None if results.test is None else describe(results.test, results.epochs),
            sections=[
                _section(name, figure, results)
                for name, figure in FIGURES.items()
                if not (figure.compares_trials and results.is_single_run)
                and not (figure.of_test_images and results.test is None)
            ],
            colors=OUTCOME_COLORS,
            written=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            # Nearly all of the file's 5 MB, but a link would need a network, and Plotly's server years later.
            plotly_js=Markup(get_plotlyjs()),
        )
    )


def _section(name: str, figure: Figure, results: SweepResults) -> Section:
    try:
        return Section(name, figure, _script_json(figure.plot(results).to_json()), missing="")
    except NothingToDrawError as reason:
        return Section(name, figure, Markup(), missing=str(reason))


def _script_json(content: str) -> Markup:
    """Return JSON that cannot end the script element around it."""
    # JSON's own escapes: a browser does not decode HTML's escapes inside a script element.
    return Markup(content.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        # Names, reasons and commands come from configs and errors, and may hold HTML.
        autoescape=True,
        # By default, Jinja writes nothing for a name that does not exist; here it raises.
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["words"] = text.words
    return environment
