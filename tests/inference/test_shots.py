import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from tiny_models import write_photos

from segray.errors import DataError
from segray.inference.inputs import find_inputs
from segray.inference.shots import count_shots, shots
from segray.inference.video.sources import open_source

NUM_FRAMES = 5


def write_video(path, photos):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=Fraction(10))
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        for photo in photos:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(photo, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture
def video(tmp_path):
    """Write a video whose frames become brighter."""
    path = tmp_path / "drive.mp4"
    write_video(path, [np.full((32, 64, 3), 50 * number, np.uint8) for number in range(NUM_FRAMES)])
    return path


def test_frames_of_a_video_come_in_order_and_are_counted_from_1(video):
    files = find_inputs([video])
    found = list(shots(files))
    assert [shot.name for shot in found] == [f"drive/{number:06d}" for number in range(1, NUM_FRAMES + 1)]
    frames = [shot.load() for shot in found]
    assert {(frame.shape, frame.dtype.name) for frame in frames} == {((32, 64, 3), "uint8")}
    assert [round(float(frame.mean()) / 50) for frame in frames] == list(range(NUM_FRAMES))
    assert count_shots(files) == NUM_FRAMES


@pytest.mark.parametrize("clockwise", [90, 180, 270])
def test_a_phones_video_is_turned_upright(tmp_path, clockwise):
    """Write a video with a mark in its lower left, whose header asks a player to turn it.

    The header's transformation matrix (ISO/IEC 14496-12, box tkhd) is [[a, b, 0], [c, d, 0], [x, y, 1]].
    """
    path = tmp_path / "phone.mp4"
    photo = np.zeros((32, 64, 3), np.uint8)
    photo[16:, :32] = 250
    write_video(path, [photo])
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 40
    a, b, c, d = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[clockwise]
    content[place : place + 20] = struct.pack(">5i", a << 16, b << 16, 0, c << 16, d << 16)
    path.write_bytes(content)
    (shot,) = shots(find_inputs([path]))
    frame = shot.load()
    (source_frame,) = open_source(path).read()
    np.testing.assert_array_equal(frame, source_frame.photo_HWC)
    turned = np.rot90(photo, -clockwise // 90)
    assert frame.shape == turned.shape
    assert np.abs(frame.astype(int) - turned).mean() < 8


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
    with pytest.raises(DataError, match=r"drive\.mp4' must (be|hold) a video"):
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
    with pytest.raises(DataError, match="must hold a video, but has only audio"):
        failing.load()
