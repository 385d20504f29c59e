"""Videos of predictions: read, drawn, encoded, and decoded again."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hand_made import by_color
from PIL import Image

from segray.data.datasets.cityscapes import label_space
from segray.data.synthetic import write_scenes
from segray.errors import ConfigError, DataError, ResourceError, StorageError
from segray.inference.corruptions import CORRUPTIONS
from segray.inference.video import writers
from segray.inference.video.drawing import VIEWS, Sheet
from segray.inference.video.render import VideoOptions, make_video
from segray.inference.video.sources import open_city, open_source
from segray.inference.video.writers import check_fps, check_video, storable_fps, video_writer

SPACE = label_space()


def photo(number, size_px=(40, 60)):
    """Return a photo whose upper part is blue and whose lower part is red, with a white mark that moves."""
    made = np.zeros((*size_px, 3), np.uint8)
    made[: size_px[0] // 2] = (20, 60, 220)
    made[size_px[0] // 2 :] = (200, 30, 20)
    made[4:12, 4 * number : 4 * number + 8] = 255
    return made


@pytest.fixture
def folder(tmp_path):
    """Write ten frames, whose names sort by number and not by letters."""
    (tmp_path / "frames").mkdir()
    for number in range(10):
        Image.fromarray(photo(number)).save(tmp_path / "frames" / f"frame_{number + 5}.png")
    return tmp_path / "frames"


def decoded(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return frames, float(stream.average_rate), stream.codec_context.pix_fmt


def mark(frame):
    """Return the column of the first white pixel of the mark."""
    bright = (frame.astype(int).min(axis=2) > 180)[:12]
    return np.flatnonzero(bright.sum(axis=0) > 3)[0]


@pytest.mark.parametrize(("extension", "tolerance"), [(".mp4", 12), (".gif", 2)])
def test_what_is_written_is_decoded_again(tmp_path, extension, tolerance):
    path = tmp_path / f"v{extension}"
    with video_writer(path, (40, 60), Fraction(5)) as write:
        for number in range(10):
            write(photo(number))
    frames, fps, _ = decoded(path)
    assert (len(frames), fps, frames[0].shape) == (10, 5.0, (40, 60, 3))
    for number, frame in enumerate(frames):
        assert np.abs(frame[16:20, :].astype(int) - (20, 60, 220)).mean() < tolerance
        assert np.abs(frame[26:, :].astype(int) - (200, 30, 20)).mean() < tolerance
        assert abs(mark(frame) - 4 * number) <= 1


def test_mp4_plays_in_a_browser_while_it_loads(tmp_path):
    path = tmp_path / "v.mp4"
    with video_writer(path, (40, 60), Fraction(25)) as write:
        for number in range(10):
            write(photo(number))
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        # 1 is BT.709, and the narrow range of values that all players expect.
        assert (stream.codec_context.colorspace, stream.codec_context.color_range) == (1, 1)


def test_a_gif_repeats_and_is_no_faster_than_browsers_play(tmp_path):
    path = tmp_path / "v.gif"
    fps = storable_fps(path, Fraction(100))
    assert (fps, storable_fps(tmp_path / "v.mp4", Fraction(100))) == (50, 100)
    with video_writer(path, (40, 60), fps) as write:
        for number in range(4):
            write(photo(number))
    with Image.open(path) as image:
        assert (image.n_frames, image.info["loop"], image.info["duration"]) == (4, 0, 20)


def write_and_fail(path, error):
    with video_writer(path, (40, 60), Fraction(5)) as write:
        write(photo(0))
        raise error


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("extension", [".mp4", ".gif"])
def test_an_interrupted_video_leaves_nothing_and_keeps_what_was_there(tmp_path, extension, error):
    path = tmp_path / f"v{extension}"
    path.write_bytes(b"before")
    with pytest.raises(error):
        write_and_fail(path, error)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"before"


def test_a_place_that_cannot_be_written_is_one_error(tmp_path):
    with (
        pytest.raises(StorageError, match=r"cannot write .*No such file"),
        video_writer(tmp_path / "none" / "v.mp4", (40, 60), Fraction(5)) as write,
    ):
        write(photo(0))
    with pytest.raises(StorageError, match=r"name an \.mp4 or a \.gif file"):
        check_video(tmp_path / "v.avi")


def test_pyav_without_h264_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(writers, "H264", "libx999")
    with (
        pytest.raises(ResourceError, match=r"has no H.264 encoder \(libx999\).* name a \.gif file"),
        video_writer(tmp_path / "v.mp4", (40, 60), Fraction(5)),
    ):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("fps", "expected"), [(4, Fraction(4)), (29.97, Fraction(2997, 100)), (0.5, Fraction(1, 2))])
def test_rates_become_fractions(fps, expected):
    assert check_fps(fps) == expected


@pytest.mark.parametrize(("fps"), [0, -1, 1000, float("nan")])
def test_rates_that_no_player_has_are_refused(fps):
    with pytest.raises(ConfigError, match="--fps must lie from"):
        check_fps(fps)


@pytest.mark.parametrize("extension", [".mp4", ".gif"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_video_of_a_folder_shows_photos_and_predictions_in_order(folder, tmp_path, view, extension):
    model, heard = by_color(SPACE), []
    options = VideoOptions(view=view)
    path = tmp_path / f"v{extension}"
    written = make_video(model, open_source(folder), path, options, lambda *step: heard.append(step))
    frames, fps, _ = decoded(path)
    assert (len(frames), fps, written.num_frames, written.fps) == (10, 4.0, 10, 4.0)
    assert frames[0].shape[:2] == written.size_px
    assert heard == [(number, 10) for number in range(1, 11)]
    assert all(side % 2 == 0 for side in written.size_px)
    left = (written.size_px[1] - (124 if view == "side" else 60)) // 2
    sheet = Sheet.of((40, 60), view=view, max_width=1920, title="", name="", label_space=SPACE, legend="all")
    top = Sheet.of(
        (40, 60), view=view, max_width=1920, title=model.title, name="frame_5", label_space=SPACE, legend="all"
    ).caption_px
    assert sheet.panel_px == (40, 60)
    for number, frame in enumerate(frames):
        prediction = model.predict(photo(number))
        expected = {"labels": prediction.colors(), "overlay": prediction.overlay()}.get(view, photo(number))
        found = frame[top : top + 40, left : left + 60].astype(int)
        assert np.abs(found - expected).mean() < 12


def test_a_gif_of_a_fast_source_says_the_rate_that_it_has(folder, tmp_path):
    options = VideoOptions(max_frames=2, fps=60, legend="none")
    assert make_video(by_color(SPACE), open_source(folder), tmp_path / "v.gif", options).fps == 50


def test_side_shows_the_overlay_at_the_right(folder, tmp_path):
    model = by_color(SPACE)
    make_video(model, open_source(folder), tmp_path / "v.gif", VideoOptions(max_frames=2, legend="none"))
    frames, _, _ = decoded(tmp_path / "v.gif")
    assert len(frames) == 2
    height, width, _ = frames[0].shape
    assert width == MIN_SIDE_WIDTH
    right = frames[0][height - 40 :, 18 + 64 : 18 + 124]
    assert np.abs(right.astype(int) - model.predict(photo(0)).overlay()).mean() < 4


MIN_SIDE_WIDTH = 160
"""Two panels of 60 pixels and their gap are narrower than the least width of a caption"""


def test_a_video_file_is_a_source_with_its_own_rate(tmp_path):
    with video_writer(tmp_path / "in.mp4", (40, 60), Fraction(12)) as write:
        for number in range(6):
            write(photo(number))
    source = open_source(tmp_path / "in.mp4")
    assert (source.count, source.fps) == (6, 12.0)
    names = [frame.name for frame in source.read()]
    assert names == [f"in.mp4 {number:06d}" for number in range(1, 7)]
    make_video(by_color(SPACE), source, tmp_path / "out.mp4", VideoOptions(max_frames=4))
    frames, fps, _ = decoded(tmp_path / "out.mp4")
    assert (len(frames), fps) == (4, 12.0)


def test_photos_of_other_sizes_are_fitted_into_the_first_ones_place(tmp_path):
    for number, size_px in enumerate([(40, 60), (60, 40), (20, 30), (200, 301), (1, 1), (1, 500)]):
        Image.fromarray(photo(0, size_px) if size_px != (1, 1) else np.zeros((1, 1, 3), np.uint8)).save(
            tmp_path / f"{number}.png"
        )
    options = VideoOptions(view="photo", max_width=200)
    written = make_video(by_color(SPACE), open_source(tmp_path), tmp_path / "v.gif", options)
    frames, _, _ = decoded(tmp_path / "v.gif")
    assert {frame.shape[:2] for frame in frames} == {written.size_px}
    panel = frames[1][-40:, 50:110].astype(int)
    assert (panel[5:35, :15] < 40).all()  # the ground at the side of an upright photo
    assert np.abs(panel[25:35, 25:35] - (200, 30, 20)).mean() < 4


@pytest.mark.parametrize("max_width", [201, 64, 16])
def test_a_wide_photo_is_shrunk(tmp_path, max_width):
    Image.fromarray(photo(0, (101, 301))).save(tmp_path / "1.png")
    written = make_video(
        by_color(SPACE), open_source(tmp_path), tmp_path / "v.mp4", VideoOptions(max_width=max_width, legend="none")
    )
    assert written.size_px[1] == (200 if max_width == 201 else 160)


def test_the_legend_marks_the_classes_that_a_frame_shows(folder, tmp_path):
    shown, sizes = {}, set()
    for legend in ("all", "present", "none"):
        options = VideoOptions(legend=legend, max_frames=1, view="labels")
        sizes.add(make_video(by_color(SPACE), open_source(folder), tmp_path / "v.gif", options).size_px)
        frame = decoded(tmp_path / "v.gif")[0][0]
        shown[legend] = sum((np.abs(frame.astype(int) - color).max(axis=2) < 4).sum() > 20 for color in SPACE.colors)
    assert shown["all"] > shown["present"] >= shown["none"] > 0
    assert len(sizes) == 2


def test_weather_is_drawn_before_the_prediction(folder, tmp_path):
    model = by_color(SPACE)
    options = VideoOptions(view="photo", weather="fog", strength=5, max_frames=3)
    make_video(model, open_source(folder), tmp_path / "v.gif", options)
    frames, _, _ = decoded(tmp_path / "v.gif")
    panels = [frame[-40:, 50:110].astype(int) for frame in frames]
    for number, panel in enumerate(panels):
        assert np.abs(panel - CORRUPTIONS["fog"](photo(number), 5, 0)).mean() < 6
    assert np.abs(panels[0][25:] - panels[1][25:]).mean() < 3  # fog stands still


@pytest.fixture(scope="module")
def cityscapes(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "cityscapes"
    write_scenes("cityscapes", root, train=4, val=4, test=2, size_px=(32, 64), seed=0)
    return str(root)


@pytest.mark.parametrize(("city", "count"), [("ashford", 1), ("elmstead", 2), ("harwick", 1)])
def test_a_city_is_found_in_whichever_split_it_lies(cityscapes, city, count):
    source = open_city(cityscapes, city)
    names = [frame.name for frame in source.read()]
    assert source.count == len(names) == count
    assert names == [f"{city}_{number:06d}_000019" for number in range(count)]


def test_a_city_that_is_not_there_names_those_that_are(cityscapes):
    with pytest.raises(ConfigError, match="unknown city 'elmsted'; did you mean 'elmstead'"):
        open_city(cityscapes, "elmsted")


def no_frames(path):
    """Write an MP4 that has a video stream, and not a single frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=4)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        container.start_encoding()


def sound_only(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize(
    ("name", "write", "error", "message"),
    [
        ("none.mp4", lambda path: None, DataError, "must be a video file or a folder of frames, but does not exist"),
        ("text.mp4", lambda path: path.write_text("no video"), DataError, "must be a video file that FFmpeg reads"),
        ("empty.mp4", lambda path: path.touch(), DataError, "must be a video file that FFmpeg reads"),
        ("sound.wav", sound_only, DataError, "must hold a video, but has only audio"),
        ("photo.png", lambda path: path.touch(), ConfigError, "is a photo, not a video; segray predict draws it"),
        ("folder", Path.mkdir, DataError, r"the folder '.*folder' must hold photos, .* but holds none"),
        ("frames.mp4", no_frames, DataError, "must hold a frame, but none could be decoded|must hold a video"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path, name, write, error, message):
    write(tmp_path / name)
    with pytest.raises(error, match=message):
        make_video(by_color(SPACE), open_source(tmp_path / name), tmp_path / "v.mp4", VideoOptions())
    assert not (tmp_path / "v.mp4").exists()


def test_a_frame_that_does_not_decode_ends_the_video_and_leaves_none(folder, tmp_path):
    (folder / "frame_8.png").write_bytes((folder / "frame_8.png").read_bytes()[:-40])
    with pytest.raises(DataError, match=r"frame_8\.png: does not decode"):
        make_video(by_color(SPACE), open_source(folder), tmp_path / "v.mp4", VideoOptions())
    assert [path.name for path in tmp_path.iterdir()] == ["frames"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"view": "above"}, "unknown view 'above'"),
        ({"legend": "some"}, "unknown legend 'some'"),
        ({"weather": "hail"}, "unknown weather 'hail'"),
        ({"strength": 6}, "--strength must be a whole number from 1 to 5, but got 6"),
        ({"max_frames": 0}, "--frames must be at least 1, but got 0"),
        ({"max_width": 8}, "--max-width must lie from 16"),
        ({"fps": 0.0}, "--fps must lie from"),
    ],
)
def test_options_that_cannot_work_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        VideoOptions(**values)


def test_two_frames_of_one_name_are_refused(folder):
    (folder / "frame_8.jpg").write_bytes((folder / "frame_8.png").read_bytes())
    with pytest.raises(DataError, match="frame_8"):
        open_source(folder)
