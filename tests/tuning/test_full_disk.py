"""A disk that is full in the middle of a sweep."""

import os
import subprocess
import sys

import pytest
from conftest import STUDY

from segray.storage import open_sweep

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts a disk"),
]

SCRIPT = """
mount -t tmpfs -o size={size} tmpfs {disk} || exit 99
{study} > {disk}.full 2>&1; echo $? >> {disk}.codes
find {disk} -name "*.partial*" > {disk}.partial
mount -o remount,size=1g {disk}
{study} --resume > {disk}.resumed 2>&1; echo $? >> {disk}.codes
cp -r {disk}/. {kept}
"""


def test_a_resume_finishes_all_trials_of_a_sweep_whose_disk_was_full(scenes, tmp_path):
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    study = f"{sys.executable} {STUDY} --data {scenes} --storage {disk} --scheduler none --trials 6 --epochs 2"
    script = SCRIPT.format(size="45m", disk=disk, study=study, kept=kept)
    subprocess.run(["unshare", "--mount", "bash", "-c", script], check=True)
    full, resumed = (tmp_path.joinpath(f"disk.{when}").read_text() for when in ("full", "resumed"))
    assert tmp_path.joinpath("disk.codes").read_text().split() == ["2", "0"], full + resumed
    assert "No space left on device; make room there" in full
    assert tmp_path.joinpath("disk.partial").read_text() == ""
    trials = open_sweep(f"{kept}/tiny").trials()
    assert {trial.outcome().status for trial in trials} == {"finished"}
    assert len(trials) == 6
