"""``segray predict`` against a bare loop, its memory over many photos, and sliding windows against a nested loop.

    python benchmarks/prediction.py [--part photos] [--images 300]
    python benchmarks/prediction.py --part memory [--images 1000]
    python benchmarks/prediction.py --part windows [--encoder resnet18]

photos: decode, model and encode of photos in one run, segray's pipeline against the plainest code for the same work on
the same threads: a pool for decoding and one for encoding, and the model between them, without batches, order, error
handling, folders or shares. Both sides take turns over parts of the photos; the ratio is of the sums of their times.

memory: the process's resident memory while the pipeline goes over many photos, after the first 100 and at the end.

windows: a photo of 2048x1024 in windows of 512x512 that overlap by half. The reference is two nested loops over rows
and columns of windows, which predict one window at a time and blend in NumPy. Both compute in float32, so that they
can be compared to 1e-5 of the largest logit. `profile` says where the time of segray's side goes.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from segray.config import RunConfig
from segray.data.datasets.cityscapes import label_space
from segray.data.synthetic import write_scenes
from segray.folder import open_folder
from segray.inference.inputs import find_inputs
from segray.inference.outputs import PredictionFolder
from segray.inference.pipeline import MAX_THREADS, predict_shots
from segray.inference.predictor import Predictor
from segray.inference.shots import shots
from segray.inference.windows import gaussian_weights, window_starts
from segray.models import build_model

NUM_SCENES = 24
"""Different photos; more images are links to them, so that the disk's cache holds all."""
PHOTO_PX = (256, 512)
LEAST_RATIO = 0.9
NUM_PARTS = 10
WINDOW_PX = (512, 512)
LARGE_PX = (1024, 2048)
LARGEST_ERROR = 1e-5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", choices=["photos", "memory", "windows"], default="photos", help="what is measured")
    parser.add_argument("--images", type=int, help="photos; 300 for photos, 1000 for memory")
    parser.add_argument("--encoder", default="resnet18", help="encoder of the U-Net")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of windows, after one that warms up")
    options = parser.parse_args()
    if options.part == "windows":
        print(json.dumps(measure_windows(options.encoder, options.device, options.rounds)))
        return
    num_images = options.images or {"photos": 300, "memory": 1000}[options.part]
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder, num_images)
        measure = {"photos": measure_photos, "memory": measure_memory}[options.part]
        print(json.dumps(measure(folder, predictor(options.encoder, options.device))))


def predictor(encoder: str, device: str, **values: object) -> Predictor:
    torch.manual_seed(0)
    config = RunConfig().with_values({"model.encoder": encoder, "model.encoder_weights": "none", **values})
    space = label_space()
    return Predictor([build_model(config.model, space.num_classes)], config, space, device=device)


def write_photos(folder: Path, count: int) -> None:
    write_scenes("cityscapes", folder / "scenes", train=NUM_SCENES, val=1, size_px=PHOTO_PX)
    drawn = sorted((folder / "scenes/leftImg8bit/train").rglob("*.png"))
    (folder / "photos").mkdir()
    for number, photo in zip(range(count), itertools.cycle(drawn)):
        (folder / f"photos/{number:04d}.png").symlink_to(photo)


def measure_photos(folder: Path, model: Predictor) -> dict[str, object]:
    paths = sorted((folder / "photos").iterdir())
    size = max(len(paths) // NUM_PARTS, 1)
    parts = [paths[start : start + size] for start in range(0, len(paths), size)]
    sides: dict[str, Callable[[Sequence[Path], Path], None]] = {"bare": bare_loop(model), "ours": pipeline(model)}
    for run in sides.values():
        run(parts[0][:8], folder / "warm-up")
    seconds = dict.fromkeys(sides, 0.0)
    ratios = []
    for number, part in enumerate(parts):
        spent = {}
        # The order changes from part to part, so that a slow moment of the machine meets both.
        for side in sorted(sides, reverse=number % 2 == 0):
            start = time.perf_counter()
            sides[side](part, folder / side)
            spent[side] = time.perf_counter() - start
            seconds[side] += spent[side]
        ratios.append(spent["bare"] / spent["ours"])
        print(f"part {number + 1} of {len(parts)}: {ratios[-1]:.2f} of the bare loop", flush=True)
    ratio = seconds["bare"] / seconds["ours"]
    return {
        "benchmark": "prediction",
        "ours": round(len(paths) / seconds["ours"], 2),
        "reference": round(len(paths) / seconds["bare"], 2),
        "ratio": round(ratio, 3),
        "median_ratio_of_parts": round(statistics.median(ratios), 3),
        "met": ratio >= LEAST_RATIO,
        "unit": "images/s",
        "photo_px": PHOTO_PX,
        "images": len(paths),
        "threads": torch.get_num_threads(),
    }


def pipeline(model: Predictor) -> Callable[[Sequence[Path], Path], None]:
    def run(paths: Sequence[Path], output: Path) -> None:
        outputs = PredictionFolder(folder=open_folder(output), kinds=("overlay",))
        for found in predict_shots(model, shots(find_inputs(paths)), outputs.write):
            assert not found.error

    return run


def bare_loop(model: Predictor) -> Callable[[Sequence[Path], Path], None]:
    network, palette = model.models[0], model.label_space.palette()
    threads = max(min(os.cpu_count() or 1, MAX_THREADS), 1)

    def decode(path: Path) -> NDArray[np.uint8]:
        with Image.open(path) as image:
            return np.array(image.convert("RGB"))

    def encode(path: Path, photo: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
        overlay = np.rint(0.55 * palette[labels].astype(np.float32) + 0.45 * photo).astype(np.uint8)
        cv2.imwrite(str(path), cv2.cvtColor(overlay, cv2.COLOR_RGB2BGR))

    @torch.inference_mode()
    def predict(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
        inputs = torch.from_numpy(photo).to(model.device).permute(2, 0, 1)[None]
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(model.device.type, model.precision, enabled=model.precision != torch.float32):
            logits = network(inputs)
        return logits.float()[0].argmax(0).to(torch.uint8).cpu().numpy()  # type: ignore[no-any-return]

    def run(paths: Sequence[Path], output: Path) -> None:
        output.mkdir(exist_ok=True)
        with ThreadPoolExecutor(threads) as readers, ThreadPoolExecutor(threads) as writers:
            todo = iter(paths)
            reading = deque((path, readers.submit(decode, path)) for path in itertools.islice(todo, threads + 1))
            while reading:
                path, photo = reading.popleft()
                reading.extend((path, readers.submit(decode, path)) for path in itertools.islice(todo, 1))
                writers.submit(encode, output / path.name, photo.result(), predict(photo.result()))

    return run


def measure_memory(folder: Path, model: Predictor) -> dict[str, object]:
    paths = sorted((folder / "photos").iterdir())
    outputs = PredictionFolder(folder=open_folder(folder / "out"), kinds=("overlay",))
    readings: list[int] = []
    for number, _ in enumerate(predict_shots(model, shots(find_inputs(paths)), outputs.write), start=1):
        if number % 50 == 0:
            gc.collect()
            readings.append(resident_bytes())
            print(f"{number} photos: {readings[-1] / 1e6:.0f} MB", flush=True)
    early, late = max(readings[:2]), max(readings[-2:])
    return {
        "benchmark": "prediction_memory",
        "early_mb": round(early / 1e6),
        "late_mb": round(late / 1e6),
        "growth_mb": round((late - early) / 1e6, 1),
        "images": len(paths),
        "photo_px": PHOTO_PX,
    }


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure_windows(encoder: str, device: str, rounds: int) -> dict[str, object]:
    values = {"train.precision": "float32"}
    torch.manual_seed(0)
    config = RunConfig().with_values({"model.encoder": encoder, "model.encoder_weights": "none", **values})
    space = label_space()
    network = build_model(config.model, space.num_classes).eval()
    plain = build_model(config.model, space.num_classes).eval().to(device)
    plain.load_state_dict(network.state_dict())
    model = Predictor([network], config, space, device=device, window_px=WINDOW_PX)
    photo_HWC = np.random.default_rng(0).integers(0, 256, (*LARGE_PX, 3), dtype=np.uint8)
    sides: dict[str, Callable[[], NDArray[np.float32]]] = {
        "reference": lambda: nested_loop(plain, photo_HWC, space.num_classes, device),
        "ours": lambda: model.logits([photo_HWC])[0].cpu().numpy(),
    }
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    cpu_seconds: dict[str, list[float]] = {side: [] for side in sides}
    found: dict[str, NDArray[np.float32]] = {}
    for number in range(rounds + 1):
        for side, run in sides.items():
            start, cpu_start = time.perf_counter(), time.process_time()
            found[side] = run()
            if number:
                seconds[side].append(time.perf_counter() - start)
                cpu_seconds[side].append(time.process_time() - cpu_start)
            print(
                f"{side}: {time.perf_counter() - start:.1f} s, {time.process_time() - cpu_start:.1f} s CPU", flush=True
            )
    medians = {side: statistics.median(values) for side, values in seconds.items()}
    cpu = {side: statistics.median(values) for side, values in cpu_seconds.items()}
    error = float(np.abs(found["ours"] - found["reference"]).max() / np.abs(found["reference"]).max())
    return {
        "benchmark": "sliding_window",
        "ours": round(medians["ours"], 2),
        "reference": round(medians["reference"], 2),
        "ratio": round(medians["reference"] / medians["ours"], 2),
        "ratio_of_cpu_time": round(cpu["reference"] / cpu["ours"], 2),
        "unit": "s per photo",
        "largest_error": error,
        "equal": error <= LARGEST_ERROR,
        "profile": profile(model, photo_HWC),
        "photo_px": LARGE_PX,
        "window_px": WINDOW_PX,
        "encoder": encoder,
        "device": device,
        "threads": torch.get_num_threads(),
    }


@torch.inference_mode()
def nested_loop(
    model: torch.nn.Module, photo_HWC: NDArray[np.uint8], num_classes: int, device: str
) -> NDArray[np.float32]:
    (height, width), (rows, columns) = photo_HWC.shape[:2], WINDOW_PX
    total_CHW = np.zeros((num_classes, height, width), np.float32)
    weight_HW = np.zeros((height, width), np.float32)
    window_HW = gaussian_weights(WINDOW_PX).numpy()
    for top in window_starts(height, rows, 0.5):
        for left in window_starts(width, columns, 0.5):
            place = (slice(top, top + rows), slice(left, left + columns))
            window = torch.from_numpy(photo_HWC[place].transpose(2, 0, 1)[None].copy()).to(device)
            total_CHW[:, *place] += model(window)[0].float().cpu().numpy() * window_HW
            weight_HW[place] += window_HW
    return total_CHW / weight_HW


def profile(model: Predictor, photo_HWC: NDArray[np.uint8]) -> dict[str, float]:
    """Share of the time in the model, and what is left for cutting and blending windows."""
    starts: list[float] = []
    ends: list[float] = []

    def now() -> float:
        if model.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    (network,) = model.models
    hooks = [
        network.register_forward_pre_hook(lambda *_: starts.append(now())),
        network.register_forward_hook(lambda *_: ends.append(now())),
    ]
    begin = time.perf_counter()
    model.logits([photo_HWC])
    total = time.perf_counter() - begin
    for hook in hooks:
        hook.remove()
    share = (sum(ends) - sum(starts)) / total
    return {"model": round(share, 3), "rest": round(1 - share, 3)}


if __name__ == "__main__":
    main()
