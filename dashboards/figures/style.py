"""One look for all figures: a palette that is safe for colour-blind readers on light and dark backgrounds.

Backgrounds are transparent, and the report's CSS recolours text and grid, so that figures follow the page.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Final

import plotly.graph_objects as go

from segray import text
from segray.results import SearchedKey, SweepResults
from segray.results.searched import Row

ACCENT: Final = "#2b7de0"
MUTED: Final = "#8d97a3"
INK: Final = "#3d454e"
GRID: Final = "rgba(141, 151, 163, 0.25)"
CLEAR: Final = "rgba(0, 0, 0, 0)"
FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

SERIES: Final = ("#2b7de0", "#d55e00", "#009e73")
"""Colours of the first three series: blue, vermilion and green of Okabe and Ito's set; the blue is lighter than theirs,
for dark backgrounds."""

OUTCOME_COLORS: Final = {
    "finished": "#2b7de0",
    "stopped": "#8d97a3",
    "running": "#009e73",
    "paused": "#6a5acd",
    "interrupted": "#b08d00",
    "failed": "#d55e00",
    "diverged": "#c2619b",
    "out_of_memory": "#e69f00",
    "infeasible": "#7a5230",
}
# Hollow for trials that have not run to their end, and of different shapes for readers who cannot tell the colours.
OUTCOME_SYMBOLS: Final = {
    "finished": "circle",
    "stopped": "circle-open",
    "running": "diamond-open",
    "paused": "hexagon-open",
    "interrupted": "square-open",
    "failed": "x",
    "diverged": "triangle-up",
    "out_of_memory": "cross",
    "infeasible": "star-triangle-down",
}


def styled(figure: go.Figure, height_px: int, **layout: object) -> go.Figure:
    """Give a figure the common look and return it; further layout settings win."""
    figure.update_layout(
        # Plotly's default template paints light backgrounds, and adds 6 kB to every figure.
        template="none",
        height=height_px,
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        font={"family": FONT, "size": 13, "color": INK},
        margin={"l": 8, "r": 18, "t": 12, "b": 8},
        hovermode="closest",
        hoverlabel={
            "bgcolor": "#20262d",
            "bordercolor": "#20262d",
            "font": {"color": "#f2f4f6", "size": 12},
            "align": "left",
        },
        legend={"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
        legend_itemclick=False,
        legend_itemdoubleclick=False,
    )
    axis = {"gridcolor": GRID, "zeroline": False, "showline": False, "automargin": True}
    axis |= {"title_standoff": 10, "title_font_size": 13}
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure.update_layout(**layout)


def plain(name: object) -> str:
    """Return text that Plotly shows unchanged: Plotly's labels accept some HTML, so names and reasons are escaped."""
    # Quotes stay: Plotly decodes &lt; and &amp;, but would show &quot; as it is.
    return html.escape(str(name), quote=False)


def wrapped(label: str, limit: int = 16) -> str:
    """Break a long name into two lines, after a plus or else after the separator nearest to the middle."""
    # A plus joins two losses: cross_entropy+dice reads best with each of them on its own line.
    separators = "+" if "+" in label else "_-*"
    breaks = [index + 1 for index, letter in enumerate(label[:-1]) if letter in separators]
    # On a narrow screen, names on one line would leave no room for the plot.
    if len(label) <= limit or not breaks:
        return plain(label)
    middle = min(breaks, key=lambda index: abs(index - len(label) / 2))
    return f"{plain(label[:middle])}<br>{plain(label[middle:])}"


def outcome_marker(outcome: str) -> dict[str, object]:
    """Return Plotly's marker of trials with an outcome."""
    color = OUTCOME_COLORS[outcome]
    return {"color": color, "symbol": OUTCOME_SYMBOLS[outcome], "size": 9, "line": {"width": 2, "color": color}}


def config_lines(searched: Sequence[SearchedKey], row: Row) -> str:
    """Return the values that a trial drew for a hover label, one per line."""
    return "".join(f"<br>{plain(key.label)}: {plain(key.shown(row))}" for key in searched if key.is_drawn(row))


def hover(results: SweepResults, row: Row) -> str:
    """Return the hover label of a trial: id, outcome, best score and searched values."""
    objective = results.info.objective
    first = f"<b>trial {plain(row['id'])}</b>, {text.words(row['outcome'])}"
    score = f"best {plain(objective.label)} {objective.shown(row[objective.column])}"
    return f"{first}<br>{score}{config_lines(results.searched, row)}"
