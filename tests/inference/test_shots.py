from fractions import Fraction

import av
import numpy as np
import pytest
from tiny_models import write_photos

from segray.errors import DataError
from segray.inference.inputs import find_inputs
from segray.inference.shots import count_shots, shots

NUM_FRAMES = 5


@pytest.fixture
def video(tmp_path):
    """Write a video whose frames become brighter."""
    path = tmp_path / "drive.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        for number in range(NUM_FRAMES):
            frame = av.VideoFrame.from_ndarray(np.full((32, 64, 3), 50 * number, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_frames_of_a_video_come_in_order_and_are_counted_from_1(video):
    files = find_inputs([video])
    found = list(shots(files))
    assert [shot.name for shot in found] == [f"drive/{number:06d}" for number in range(1, NUM_FRAMES + 1)]
    frames = [shot.load() for shot in found]
    assert {(frame.shape, frame.dtype.name) for frame in frames} == {((32, 64, 3), "uint8")}
    assert [round(float(frame.mean()) / 50) for frame in frames] == list(range(NUM_FRAMES))
    assert count_shots(files) == NUM_FRAMES


def test_frames_that_are_done_are_left_out(video):
    found = shots(find_inputs([video]), done={"drive/000001", "drive/000003"})
    assert [shot.name for shot in found] == ["drive/000002", "drive/000004", "drive/000005"]


def test_photos_are_decoded_when_they_are_loaded(tmp_path):
    (path,) = write_photos(tmp_path, "photo.png")
    (shot,) = shots(find_inputs([path]))
    path.write_bytes(b"damaged since")
    with pytest.raises(DataError, match=r"photo\.png"):
        shot.load()


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_damaged_video_is_one_shot_that_fails_and_the_next_file_goes_on(tmp_path, video, share):
    content = video.read_bytes()
    video.write_bytes(content[: int(share * len(content))])
    files = find_inputs([video, *write_photos(tmp_path, "photo.png")])
    failing, photo = shots(files)
    assert (failing.name, photo.name) == ("drive", "photo")
    assert count_shots(files) == 2
    with pytest.raises(DataError, match=r"drive\.mp4: "):
        failing.load()


def test_a_video_without_frames(tmp_path):
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (failing,) = shots(find_inputs([path]))
    with pytest.raises(DataError, match="must have a video stream"):
        failing.load()
