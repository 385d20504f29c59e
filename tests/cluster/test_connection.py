import socket

import pytest
from ray._common.utils import get_ray_address_file

from segray.cluster import connection
from segray.cluster.connection import Connection
from segray.errors import ResourceError


@pytest.fixture
def no_cluster(tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture
def dead_address():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return f"127.0.0.1:{port}"


@pytest.mark.parametrize("there", [True, False])
def test_rays_token_is_for_its_owner_alone(tmp_path, monkeypatch, there):
    token = tmp_path / ".ray" / "auth_token"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(connection.ray, "init", lambda **_: write_token(token) if there else None)
    monkeypatch.setattr(connection.ray, "nodes", list)
    monkeypatch.setattr(connection.ray, "shutdown", lambda: None)
    monkeypatch.setattr(connection, "watch_ray", lambda close: None)
    monkeypatch.setenv("RAY_ADDRESS", "local")
    with Connection() as cluster:
        assert cluster.nodes() == []
        assert [path.stat().st_mode & 0o777 for path in tmp_path.glob(".ray/auth_token")] == [0o600] * there


def write_token(path):
    path.parent.mkdir()
    path.write_text("secret")
    path.chmod(0o644)


def test_a_named_cluster_that_is_not_there(no_cluster, dead_address, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", dead_address)
    said = rf"no Ray cluster answers at '{dead_address}' \(RAY_ADDRESS\)"
    with pytest.raises(ResourceError, match=said), Connection():
        pass


def test_a_cluster_that_ray_start_left_an_address_of(no_cluster, dead_address, tmp_path):
    file = tmp_path / "ray" / "ray_current_cluster"
    assert str(file) == get_ray_address_file(None)
    file.parent.mkdir()
    file.write_text(dead_address)
    said = r"`ray start` named it in .*; start it, or set RAY_ADDRESS=local"
    with pytest.raises(ResourceError, match=said), Connection():
        pass


def test_a_ray_client(no_cluster, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(ResourceError, match="submit the sweep with `ray job submit`"), Connection():
        pass
