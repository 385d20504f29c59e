import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from tiny_models import bright_is_sky, half_bright

from segray.errors import DataError, WriteError
from segray.inference.pipeline import MAX_THREADS, in_order, predict_shots
from segray.inference.shots import Shot


def shot(name, photo=None):
    return Shot(name=name, load=lambda: half_bright() if photo is None else photo)


def broken(name):
    def load():
        raise DataError(f"{name} is damaged")

    return Shot(name=name, load=load)


@pytest.fixture
def written():
    return {}


@pytest.fixture
def run(written):
    return partial(predict_shots, bright_is_sky(), write=written.__setitem__)


@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_results_come_in_the_order_of_the_photos_whatever_their_sizes(run, written, batch_size):
    photos = {f"{side}": half_bright(side, 9) for side in (4, 4, 8, 8, 4, 6, 20, 8)}
    found = list(run([shot(name, photo) for name, photo in photos.items()], batch_size=batch_size))
    assert [one.name for one in found] == list(photos)
    assert all(one.shares == {"sky": 0.5, "road": 0.5} for one in found)
    assert {name: prediction.labels.shape for name, prediction in written.items()} == {
        name: photo.shape[:2] for name, photo in photos.items()
    }


@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_first_bad_photo_ends_the_flow_after_all_before_it_are_written(run, written, batch_size):
    with pytest.raises(DataError, match="c is damaged"):
        list(run([shot("a"), shot("b"), broken("c"), shot("d")], batch_size=batch_size))
    assert list(written) == ["a", "b"]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_bad_photos_are_passed_over_in_their_place(run, written, batch_size):
    several = [broken("a"), shot("b"), broken("c"), broken("d"), shot("e"), broken("f")]
    found = list(run(several, batch_size=batch_size, keep_going=True))
    assert [(one.name, one.error) for one in found] == [
        ("a", "a is damaged"),
        ("b", ""),
        ("c", "c is damaged"),
        ("d", "d is damaged"),
        ("e", ""),
        ("f", "f is damaged"),
    ]
    assert sorted(written) == ["b", "e"]


def test_no_photos_are_no_results(run):
    assert list(run([])) == []


def test_a_result_that_cannot_be_written_ends_the_flow(run):
    def write(name, prediction):
        raise WriteError("the disk is full")

    with pytest.raises(WriteError, match="the disk is full"):
        list(predict_shots(bright_is_sky(), [shot("a"), shot("b")], write))


def test_few_photos_are_in_memory_at_any_time(written):
    alive, most, lock = [0], [0], threading.Lock()

    class Counted(np.ndarray):
        def __del__(self):
            with lock:
                alive[0] -= 1

    def load():
        with lock:
            alive[0] += 1
            most[0] = max(most[0], alive[0])
        return np.zeros((4, 4, 3), np.uint8).view(Counted)

    found = predict_shots(bright_is_sky(), [Shot(name=str(i), load=load) for i in range(200)], lambda *_: None)
    assert sum(1 for _ in found) == 200
    assert most[0] <= 4 * MAX_THREADS + 8


def test_an_item_waits_until_the_results_before_it_are_taken():
    started = []
    with ThreadPoolExecutor(4) as threads:
        results = in_order(threads, started.append, range(100), ahead=3)
        next(results)
        assert len(started) <= 4
        assert len(list(results)) == 99
    assert sorted(started) == list(range(100))
