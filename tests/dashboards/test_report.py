import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import fake_sweep
import plotly.graph_objects as go
import pytest

from dashboards.figures import FIGURES
from dashboards.report import render_report, write_report
from segray import cli, text
from segray.errors import StorageError
from segray.results import load

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&amp;\"'"


class Page(HTMLParser):
    """Attributes that make a browser fetch something, tags, and contents of JSON scripts."""

    def __init__(self, html):
        super().__init__()
        self.references, self.tags, self.figures, self.in_json = [], [], [], False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.in_json = tag == "script" and ("type", "application/json") in attrs
        self.references += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data):
        if self.in_json:
            self.figures.append(json.loads(data))
            self.in_json = False


@pytest.fixture(scope="module")
def html(full):
    return render_report(full)


def test_the_page_refers_to_nothing_outside_itself(html):
    page = Page(html)
    assert page.references == []
    assert not {"link", "iframe", "object", "embed", "base"} & set(page.tags)
    styles = re.search(r"<style>(.*?)</style>", html, re.DOTALL).group(1)
    assert "@import" not in styles
    assert "url(" not in styles
    assert "default-src 'none'" in html


def test_plotly_is_embedded_once(html):
    assert len(re.findall(r"\* plotly\.js v", html)) == 1
    assert 4e6 < len(html) < 6e6


def test_every_figure_is_embedded_and_parses(html):
    figures = Page(html).figures
    assert len(figures) == len(FIGURES)
    assert all(go.Figure(figure).to_dict()["layout"]["height"] > 0 for figure in figures)


def test_every_trial_its_reason_and_its_traceback_are_in_the_table(html, full):
    table = html[html.index('id="trials"') :].partition("</tbody>")[0].partition("<tbody>")[2]
    assert table.count("<tr") == len(full.trials)
    assert table.count("<details>") == (full.trials["traceback"] != "").sum()
    assert "the training loss was NaN in epoch 3" in table


def hostile_sweep(root):
    classes = (HOSTILE, *list(fake_sweep.CLASSES)[1:])
    changes = {"command": HOSTILE, "majority_class": HOSTILE, "classes": classes, "encoder_weights": HOSTILE}
    changes |= {"recipe": HOSTILE}
    sweep = fake_sweep.empty_sweep(root, "hostile", **changes)
    for number in range(9):
        values = {"model.encoder": f"{HOSTILE}{number % 2}", "optim.lr": 10.0 ** -(number % 4 + 1), "train.epochs": 8}
        fake_sweep.write_trial(sweep, f"{number:04d}", values, [0.1 + 0.01 * number])
    fake_sweep.write_trial(sweep, "0009", {}, [], status="failed", reason=HOSTILE, traceback=HOSTILE)
    fake_sweep.write_repeats(sweep, "0008", [0.2], epochs=8)
    fake_sweep.write_repeats(sweep, "0000", [0.1], epochs=8)
    fake_sweep.write_samples(sweep, ["0008"], stems=("<b>&stem",))
    fake_sweep.write_test(sweep)
    found = sweep.files.test_scores()
    images = [image.model_copy(update={"name": HOSTILE}) for image in found.images]
    sweep.files.write_test_scores(found.model_copy(update={"classes": classes, "images": tuple(images)}))
    return sweep


def test_hostile_text_is_shown_and_never_run(tmp_path):
    html = render_report(load(hostile_sweep(tmp_path).files.folder.path))
    assert "<script>alert" not in html
    assert "<img" not in html.replace(re.search(r"<script>\s*/\*\*.*?</script>", html, re.DOTALL).group(), "")
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in html
    page = Page(html)
    assert len(page.figures) >= len(FIGURES) - 1
    assert page.tags.count("script") == len(page.figures) + 2
    for figure in Page(html).figures:
        assert "<script" not in json.dumps(figure)
        assert "<img" not in json.dumps(figure)


@pytest.mark.parametrize("case", ["no trials", "one trial", "all failed", "running", "dead", "only a config"])
def test_a_report_of_an_incomplete_sweep_says_what_is_missing(case, sweep):
    if case == "one trial":
        fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    if case == "all failed":
        fake_sweep.write_trial(sweep, "0000", {}, [], status="failed", reason="why", traceback="Traceback")
    if case in ("running", "dead"):
        fake_sweep.write_trial(sweep, "0000", {}, [0.3], status=None)
        sweep.files.write_state(fake_sweep.state("running", age_seconds=0 if case == "running" else 99))
    if case == "only a config":
        fake_sweep.write_trial(sweep, "0000", {}, [], status=None)
    html = render_report(load(sweep.files.folder.path))
    assert 'class="missing"' in html[: html.index("<noscript>")]
    said = {
        "no trials": "No trial has started",
        "one trial": "only one trial",
        "all failed": "Every trial failed",
        "running": "still running",
        "dead": "was interrupted",
        "only a config": "No trial has completed an epoch",
    }
    assert said[case] in html
    assert html.rstrip().endswith("</html>")


def test_scores_on_test_images_have_sections_of_their_own(html, full):
    section = html[html.index('id="test"') :].partition("</section>")[0]
    assert "on labels of their own size" in section
    assert "resized to 160×224" in section
    for shown in ("Boundary IoU", "KITTI Road: MaxF", "Seq05VD_f00000", text.percent(full.test.miou)):
        assert shown in section
    assert section.index("Seq05VD_f00000") < section.index("Seq05VD_f00004")


def test_a_sweep_without_test_scores_has_no_sections_on_them(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    html = render_report(load(sweep.files.folder.path))
    assert 'id="test"' not in html
    assert not any(f"<h2>{figure.title}</h2>" in html for figure in FIGURES.values() if figure.of_test_images)


def test_scores_of_an_earlier_version_are_shown_as_far_as_they_go(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    sweep.files.write_splits(fake_sweep.splits(num_test=5))
    scores = fake_sweep.scores().model_dump(mode="json", exclude_defaults=True)
    sweep.files.folder.write_json("test.json", scores)
    html = render_report(load(sweep.files.folder.path))
    assert "judged by an earlier version, on labels of the size of training" in html
    assert "which kept no confusion matrix" in html
    assert "segray evaluate --corruptions" in html


def test_a_single_run_has_no_figure_that_compares_trials(tmp_path):
    sweep = fake_sweep.empty_sweep(tmp_path, space={})
    fake_sweep.write_trial(sweep, "0000", {}, [0.3, 0.4])
    html = render_report(load(sweep.files.folder.path))
    titles = re.findall(r"<h2>(.*?)</h2>", html)
    assert titles == [
        *("Config", "Use the best model", "Learning curves", "Losses of the best trial", "IoU per class"),
        *("Predictions beside truth", "One photo over the epochs", "Trials", "Provenance"),
    ]
    assert "--repeats" not in html
    assert "only one trial" not in html
    assert re.findall(r"<dt>(.*?)</dt>", html)[:4] == ["Time spent", "Data set", "Epochs", "data.dataset"]


def test_write_report_replaces_an_older_one_and_returns_its_size(full, tmp_path):
    target = tmp_path / "report.html"
    target.write_text("old")
    assert write_report(full.files.folder.path, target) == target.stat().st_size > 4e6
    assert list(tmp_path.iterdir()) == [target]


def run_segray(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["segray", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_info:
        cli.main()
    return exit_info.value.code


def test_the_command_writes_the_report_and_names_it(full, tmp_path, monkeypatch, capsys):
    assert run_segray(monkeypatch, "report", full.files.folder.path, "-o", tmp_path / "r.html") == 0
    assert re.fullmatch(r"wrote .*r\.html \(\d\.\d MB\)\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        ("missing/report.html", "there is no folder"),
        (".", "it is a folder"),
        ("file/report.html", "there is no folder"),
    ],
)
def test_an_output_that_cannot_be_written_is_one_line_and_exit_code_2(
    output, problem, full, tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").touch()
    assert run_segray(monkeypatch, "report", full.files.folder.path, "-o", tmp_path / output) == 2
    error = capsys.readouterr().err
    assert problem in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", ["results", "report"])
def test_a_missing_run_is_one_line_and_exit_code_2(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_segray(monkeypatch, command, "runs/none") == 2
    assert re.fullmatch(r"error: no sweep at .*\n", capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("output", [f"{'x' * 300}.html", "/proc/report.html"])
def test_a_place_that_takes_no_file_is_a_storage_error(output, full, tmp_path):
    with pytest.raises(StorageError, match="cannot write"):
        write_report(full.files.folder.path, tmp_path / output)


@pytest.mark.slow
def test_a_browser_draws_every_figure_and_sorts_the_table(html, tmp_path):
    probe = """<script>
      const column = [...document.querySelectorAll("thead th")].find((th) => th.textContent.includes("val mIoU"));
      column.firstElementChild.click(); column.firstElementChild.click();
      const first = document.querySelector("tbody tr").className;
      document.title = `${document.querySelectorAll(".plot .main-svg").length > 0 && [...document.querySelectorAll(
        ".plot")].every((plot) => plot.querySelector(".main-svg"))} ${first}`;
    </script></body>"""
    page = tmp_path / "report.html"
    page.write_text(html.replace("</body>", probe), encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    dom = subprocess.run(
        [*command, "--virtual-time-budget=5000", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    assert "<title>true best</title>" in dom
