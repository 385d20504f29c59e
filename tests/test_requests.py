"""Requests to a sweep: files that a command and a driver on any machine share."""

import os
import time

import pytest
from pyarrow import fs as pafs

from segray import requests
from segray.errors import ConfigError, DamagedError, StorageError
from segray.folder import Folder, open_folder
from segray.requests import Answer, Requests, make_request


@pytest.fixture(params=["local", "object store"])
def box(request, tmp_path):
    if request.param == "local":
        return Requests(open_folder(tmp_path / "sweep"))
    filesystem = pafs._MockFileSystem()
    filesystem.create_dir("bucket/sweep")
    return Requests(Folder(filesystem, "bucket/sweep"))


@pytest.fixture
def local(tmp_path):
    return Requests(open_folder(tmp_path / "sweep"))


def test_requests_come_in_their_order_and_an_answer_is_taken_once(box):
    assert box.ids() == []
    first = make_request("enqueue", values={"optim.lr": 1e-3, "data.crop_px": [64, 64], "loss.name": None})
    asked = [box.ask(first), box.ask(make_request("stop", trial="0007-seed1-epochs6"))]
    assert box.ids() == asked
    assert box.read(asked[0]) == first
    assert box.read(asked[1]).trial == "0007-seed1-epochs6"
    assert box.take_answer(asked[1], 0.0) is None
    said = Answer(accepted=False, said="it has ended")
    box.answer(asked[1], said)
    box.close(asked[1])
    assert box.ids() == asked[:1]
    assert box.take_answer(asked[1], 5.0) == said
    assert box.take_answer(asked[1], 0.0) is None


def test_answers_that_nobody_took_are_deleted_at_the_next_start(box):
    request_id = box.ask(make_request("stop", trial="0001"))
    box.answer(request_id, Answer(accepted=True, said="it ends"))
    box.forget_answers()
    assert box.take_answer(request_id, 0.0) is None
    assert box.ids() == [request_id]


def test_what_json_cannot_keep_and_ids_that_lead_elsewhere_are_refused_before_they_are_asked():
    with pytest.raises(ConfigError, match=r"^cannot ask for this: values: day"):
        make_request("enqueue", values={"day": time})
    with pytest.raises(ConfigError, match=r"^cannot ask for this: trial: "):
        make_request("stop", trial="../../0001")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "damaged"),
        (b"null", "nothing but null"),
        (b"[1, 2]", "valid dictionary"),
        (b'{"kind": "explode", "asked_at": 1, "by": "x"}', "kind"),
        (b'{"kind": "stop", "trial": "../../x", "asked_at": 1, "by": "x"}', "trial"),
        (b'{"kind": "stop", "trial": "0001", "asked_at": 1, "by": "x", "more": 1}', "more"),
        (b'{"kind": "enqueue", "values": {"optim.lr": NaN}, "asked_at": 1, "by": "x"}', "NaN"),
        (b'{"kind": "stop", "trial": "0001", "asked_at": 1, "by": "' + b"x" * 300 + b'"}', "by"),
        (b"[" * 5000, "nested more than"),
        (b" " * (requests.MAX_BYTES + 1), "at most 100000 bytes"),
        (b"\xff\xfe\x00", "damaged"),
    ],
)
def test_a_request_that_holds_something_else_is_damaged(local, content, reason):
    request_id = "20261201-101112-000000-0123abcd"
    local.sweep.write_bytes(local.file(request_id), content)
    assert local.ids() == [request_id]
    with pytest.raises(DamagedError, match=reason):
        local.read(request_id)


def test_other_files_are_no_requests_and_a_pipe_is_not_read(local, tmp_path):
    folder = tmp_path / "sweep" / "requests"
    folder.mkdir(parents=True)
    for name in ("x.json", "20261201-101112-000000-0123abcd.answer.json", ".20261201-101112-000000-0123abcd.json"):
        (folder / name).write_text("{}")
    assert local.ids() == []
    pipe = "20261201-101112-000000-aaaaaaaa"
    os.mkfifo(folder / f"{pipe}.json")
    with pytest.raises(StorageError, match="it is gone, or no file"):
        local.read(pipe)
