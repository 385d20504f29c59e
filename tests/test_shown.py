import fake_sweep
import pytest

from dashboards.summary import summarise
from segray.cli.results_table import print_results
from segray.errors import StorageError
from segray.folder import open_folder
from segray.output import call_or_exit
from segray.results import load
from segray.shown import cell, printable, redacted

ESCAPES = "\x1b]0;owned\x07\x1b[2J\r\u202e[red]"


def test_what_a_terminal_obeys_is_written_out():
    assert printable(ESCAPES) == "\\x1b]0;owned\\x07\\x1b[2J\\r\\u202e[red]"
    assert printable("41.2\u00a0% Straße\n\t日本") == "41.2\u00a0% Straße\n\t日本"
    assert cell("[red]") == "\\[red]"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://KEY:SE%2FCRET@bucket/runs", "s3://***@bucket/runs"),
        (
            "s3://bucket/runs?access_key=A&region=eu&secret_key=B",
            "s3://bucket/runs?access_key=***&region=eu&secret_key=***",
        ),
        (
            "python a.py --storage 'gs://b/x?session_token=T' --name x",
            "python a.py --storage 'gs://b/x?session_token=***' --name x",
        ),
        ("abfs://acc@container/x?sas_token=sv&sig=abc", "abfs://***@container/x?sas_token=***&sig=***"),
        ("runs/me@home?key", "runs/me@home?key"),
        ("s3://bucket/runs?region=eu-west-1", "s3://bucket/runs?region=eu-west-1"),
    ],
)
def test_secrets_in_urls_are_stars(url, shown):
    assert redacted(url) == shown


def test_an_error_tells_no_secret_and_moves_no_cursor(capsys):
    def fail():
        raise StorageError(f"cannot reach s3://KEY:SECRET@bucket: {ESCAPES}")

    with pytest.raises(SystemExit):
        call_or_exit(fail)
    said = capsys.readouterr().err
    assert "SECRET" not in said
    assert "\x1b" not in said
    with pytest.raises(StorageError) as error:
        open_folder("s4://KEY:SECRET@bucket/x?secret_key=SECRET")
    assert "SECRET" not in str(error.value)


def test_tables_show_foreign_names_as_they_are_written(tmp_path, capsys):
    sweep = fake_sweep.empty_sweep(tmp_path, space={"optim.lr": "x"}, command="x --storage s3://K:SECRET@b")
    fake_sweep.write_trial(sweep, "0000", {"model.encoder": ESCAPES}, [0.2], status="failed", reason=ESCAPES)
    print_results(sweep.files.folder.path)
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\\x1b]0;owned" in said
    assert "SECRET" not in str(summarise(load(sweep.files.folder.path)).provenance)
