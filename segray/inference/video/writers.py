"""Writes videos frame by frame: H.264 in MP4, which browsers play, and GIF."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Final, Protocol

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from av.error import FFmpegError
from av.filter import Graph
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream
from numpy.typing import NDArray

from segray.config import SizePx
from segray.errors import ConfigError, ResourceError, StorageError
from segray.files import growing_file, output_path

H264: Final = "libx264"
CRF: Final = 20
"""Constant rate factor of H.264: the quality, from 0 (lossless) to 51. x264's default of 23 smears thin classes."""
KEY_FRAME_SECONDS: Final = 2
"""A browser can jump to any of these points."""
MAX_GIF_FPS: Final = 50
"""Browsers slow GIFs with shorter delays than 0.02 s down to 10 frames a second."""
MAX_FPS: Final = 240


class Encoder(Protocol):
    """Encodes frames (height, width, 3), RGB, all of one even size, into a file."""

    def write(self, frame_HWC: NDArray[np.uint8]) -> None:
        """Add a frame."""

    def finish(self) -> None:
        """Write what is still in the encoder, and the index."""

    def close(self) -> None:
        """Close the file, whether it is finished or not."""


class Mp4Encoder:
    """H.264 with 4:2:0 chroma in an MP4 whose index lies at its start, so that it plays while it loads."""

    def __init__(self, path: Path, size_px: SizePx, fps: Fraction) -> None:
        try:
            av.Codec(H264, "w")
        except UnknownCodecError:
            raise ResourceError(
                f"PyAV {av.__version__} here has no H.264 encoder ({H264}); reinstall it with pip, whose wheels have "
                "one, or name a .gif file"
            ) from None
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})
        gop = max(round(KEY_FRAME_SECONDS * fps), 1)
        self._stream = _add_stream(
            self._container, H264, fps, size_px, "yuv420p", {"crf": str(CRF), "preset": "medium", "g": str(gop)}
        )
        # Without these marks, players guess the colours from the height of the video.
        context = self._stream.codec_context
        context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709

    def write(self, frame_HWC: NDArray[np.uint8]) -> None:
        """Add a frame."""
        frame = av.VideoFrame.from_ndarray(frame_HWC, format="rgb24")
        converted = frame.reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            dst_color_primaries=ColorPrimaries.BT709,
            dst_color_trc=ColorTrc.BT709,
        )
        self._container.mux(self._stream.encode(converted))

    def finish(self) -> None:
        """Write what is still in the encoder, and the index."""
        self._container.mux(self._stream.encode(None))

    def close(self) -> None:
        """Close the file, whether it is finished or not."""
        self._container.close()


class GifEncoder:
    """GIF that repeats without end; each frame has the 256 colours that suit it best."""

    def __init__(self, path: Path, size_px: SizePx, fps: Fraction) -> None:
        self._container = av.open(str(path), "w", format="gif", options={"loop": "0"})
        self._stream = _add_stream(self._container, "gif", fps, size_px, "pal8", {})
        self._step = 1 / fps
        self._number = 0
        self._graph = _palette_graph(self._stream, fps)

    def write(self, frame_HWC: NDArray[np.uint8]) -> None:
        """Add a frame."""
        frame = av.VideoFrame.from_ndarray(frame_HWC, format="rgb24").reformat(format="rgb32")
        frame.pts, frame.time_base = self._number, self._step
        self._number += 1
        self._graph.vpush(frame)
        self._container.mux(self._stream.encode(self._graph.vpull()))

    def finish(self) -> None:
        """Write what is still in the encoder."""
        self._container.mux(self._stream.encode(None))

    def close(self) -> None:
        """Close the file, whether it is finished or not."""
        self._container.close()


ENCODERS: Final[dict[str, Callable[[Path, SizePx, Fraction], Encoder]]] = {".mp4": Mp4Encoder, ".gif": GifEncoder}
"""Extension of a video that a command writes -> its encoder"""


def check_video(path: Path, *, inputs: tuple[Path, ...] = (), data_root: str = "") -> Path:
    """Return the path of a video that a command will write, resolved and checked as by ``output_path``.

    Raises:
        StorageError: The video cannot be written there, or its extension is not in ENCODERS.
    """
    if path.suffix.lower() not in ENCODERS:
        raise StorageError(f"cannot write {str(path)!r}: name an {' or a '.join(ENCODERS)} file")
    return output_path(path, inputs=inputs, data_root=data_root)


def check_fps(fps: float) -> Fraction:
    """Return frames a second as a fraction that containers can store.

    Raises:
        ConfigError: The number lies outside 0.1 to MAX_FPS.
    """
    if not 0.1 <= fps <= MAX_FPS:
        raise ConfigError(f"--fps must lie from 0.1 to {MAX_FPS}, but got {fps:g}")
    return Fraction(fps).limit_denominator(1001)


def storable_fps(path: Path, fps: Fraction) -> Fraction:
    """Return the nearest rate that the kind of file can store: browsers play a faster GIF slowly."""
    return min(fps, Fraction(MAX_GIF_FPS)) if path.suffix.lower() == ".gif" else fps


@contextmanager
def video_writer(path: Path, size_px: SizePx, fps: Fraction) -> Iterator[Callable[[NDArray[np.uint8]], None]]:
    """Yield a function that adds a frame (height, width, 3), RGB, to a video; the file appears when it is complete.

    Args:
        path: File whose extension is in ENCODERS.
        size_px: (height, width) of all frames, both even.
        fps: Frames a second.

    Raises:
        StorageError: The file cannot be written.
        ResourceError: PyAV was built without the encoder.
    """
    with _storage_errors(path), growing_file(path) as partial:
        encoder = ENCODERS[path.suffix.lower()](partial, size_px, fps)
        try:
            yield encoder.write
            encoder.finish()
        finally:
            encoder.close()


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, FFmpegError) as error:
        raise StorageError(f"cannot write {str(path)!r}: {getattr(error, 'strerror', None) or error}") from None


def _add_stream(
    container: av.container.OutputContainer,
    codec: str,
    rate: Fraction,
    size_px: SizePx,
    pixel_format: str,
    options: dict[str, str],
) -> VideoStream:
    stream = container.add_stream(codec, rate=rate, options=options)
    assert isinstance(stream, VideoStream)
    stream.height, stream.width = size_px
    stream.pix_fmt = pixel_format
    return stream


def _palette_graph(stream: VideoStream, rate: Fraction) -> Graph:
    """Return a filter from RGB frames to frames of 256 colours, whose palette is made for each frame by itself.

    A palette for the whole video would need all frames in memory.
    """
    graph = Graph()
    size = f"video_size={stream.width}x{stream.height}:pixel_aspect=1/1"
    source = graph.add("buffer", f"{size}:pix_fmt=bgra:time_base={1 / rate}:frame_rate={rate}")
    split, generate = graph.add("split"), graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
    # Bayer's pattern stands still, where other dithering would flicker from frame to frame.
    use, sink = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4"), graph.add("buffersink")
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(generate, 1, 0)
    generate.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph
