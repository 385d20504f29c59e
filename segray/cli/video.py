"""``segray video``: a video of predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segray.cli import model_options

Source = Annotated[Path | None, typer.Argument(metavar="[SOURCE]", help="Video file, or folder of frames")]
Output = Annotated[Path, typer.Option("--output", "-o", help="MP4 or GIF file to write")]
City = Annotated[str | None, typer.Option(help="City of Cityscapes whose photos are the frames, in place of SOURCE")]
Data = Annotated[str | None, typer.Option(metavar="ROOT", help="Folder of Cityscapes (default: the run's data)")]
View = Annotated[str, typer.Option(help="side (photo beside overlay), overlay, photo or labels")]
Legend = Annotated[str, typer.Option(help="Classes in the legend: all, present (others are faint) or none")]
Fps = Annotated[float | None, typer.Option(help="Frames a second (default: the video's; 4 for photos)")]
Frames = Annotated[int | None, typer.Option(help="End after so many frames (default: all)")]
MaxWidth = Annotated[int | None, typer.Option(help="Largest width in pixels (default: 1920; 960 for GIF)")]
Weather = Annotated[
    str | None, typer.Option(help="Draw rain, snow, fog, ... over the photos before they are predicted")
]
Strength = Annotated[int, typer.Option(help="Strength of the weather, 1 to 5")]


def video(
    run: model_options.Run,
    source: Source = None,
    output: Output = Path("video.mp4"),
    city: City = None,
    data: Data = None,
    view: View = "side",
    legend: Legend = "all",
    fps: Fps = None,
    frames: Frames = None,
    max_width: MaxWidth = None,
    weather: Weather = None,
    strength: Strength = 3,
    trial: model_options.Trial = None,
    ensemble: model_options.Ensemble = None,
    device: model_options.Device = None,
    window: model_options.Window = None,
    overlap: model_options.Overlap = 0.5,
    tta: model_options.Tta = "",
) -> None:
    """Predict the frames of a video, a folder or a city of Cityscapes, and write them as a video."""
    from segray.cli.progress import progress_bar
    from segray.errors import ConfigError
    from segray.inference.video.render import VideoOptions, make_video
    from segray.inference.video.sources import open_city, open_source
    from segray.inference.video.writers import check_video
    from segray.shown import printable
    from segray.text import counted

    if (source is None) == (city is None):
        raise ConfigError("name the frames once: SOURCE, a video file or a folder, or --city with --data")
    options = VideoOptions(
        view=view, legend=legend, fps=fps, max_frames=frames, max_width=max_width, weather=weather, strength=strength
    )
    frame_source = open_source(source) if source else None
    check_video(output, inputs=frame_source.inputs if frame_source else ())
    model = model_options.choose_model(
        run, trial=trial, ensemble=ensemble, device=device, window=window, overlap=overlap, tta=tta
    ).load()
    if frame_source is None:
        assert city is not None
        frame_source = open_city(data or model_options.data_root(model, "cityscapes"), city)
    target = check_video(output, inputs=frame_source.inputs, data_root=data or model.config.data.root)
    with progress_bar("predicting") as progress:
        written = make_video(model, frame_source, target, options, progress)
    height, width = written.size_px
    frames_written = counted(written.num_frames, "frame")
    seconds = written.num_frames / written.fps
    print(printable(f"{output}: {frames_written} of {width}x{height}, {seconds:.1f} s at {written.fps:g} fps"))
