"""Sweeps as tuning leaves them, written through segray.storage without training; all files have realistic content."""

import io
import time
from dataclasses import dataclass

import numpy as np
from PIL import Image

from segray.config import RunConfig
from segray.objective import SCORES
from segray.records import CheckpointPointer, EpochRecord, Outcome, SplitRecord, SweepInfo, SweepState
from segray.results import load
from segray.results.notes import notes
from segray.split_scores import (
    BenchmarkScores,
    CalibrationScores,
    ConfidenceBin,
    CorruptionScores,
    ImageScores,
    SplitScores,
)
from segray.storage import Repeat, SweepFiles, open_sweep

CLASSES = {
    "sky": ((128, 128, 128), 0.90),
    "building": ((128, 0, 0), 0.72),
    "pole": ((192, 192, 128), 0.14),
    "road": ((128, 64, 128), 0.88),
    "pavement": ((0, 0, 192), 0.62),
    "tree": ((128, 128, 0), 0.66),
    "sign": ((192, 128, 128), 0.18),
    "fence": ((64, 64, 128), 0.20),
    "car": ((64, 0, 128), 0.58),
    "pedestrian": ((64, 64, 0), 0.22),
    "bicyclist": ((0, 128, 192), 0.24),
}
SPACE = {
    "model.encoder": "one of resnet18, resnet34, mobilenet_v2, tu-mobilenetv3_small_050",
    "model.arch": "one of Unet, FPN, DeepLabV3Plus",
    "loss.name": "one of cross_entropy, cross_entropy+dice, 0.5*focal+lovasz",
    "loss.focal_gamma": "number from 1 to 5",
    "data.policy": "one of none, light, medium, strong",
    "train.batch_size": "one of 4, 8, 16",
    "train.epochs": "whole number from 6 to 12",
    "optim.lr": "number from 0.0001 to 0.01, log scale",
    "optim.weight_decay": "number from 1e-06 to 0.01, log scale",
}
FIRST = {"model.encoder": "resnet18", "optim.lr": 1e-3, "train.epochs": 8}
FIRST_DRAWN = FIRST | {
    "model.arch": "Unet",
    "loss.name": "cross_entropy",
    "data.policy": "light",
    "train.batch_size": 8,
    "optim.weight_decay": 1e-4,
}
"""All values that the search drew for the first trial; its loss has no gamma."""
TRACEBACK = """Traceback (most recent call last):
  File "segray/engine/loop.py", line 88, in fit
    loss = step(batch)
           ^^^^^^^^^^^
RuntimeError: Expected more than 1 value per channel when training, got input size torch.Size([1, 256, 1, 1])"""
HEIGHT_PX, WIDTH_PX = 120, 160


@dataclass(frozen=True)
class FakeSweep:
    """The files and the description of a sweep."""

    files: SweepFiles
    info: SweepInfo


def info(name="camvid", **changes):
    fields = {
        "name": name,
        "created_at": "2026-11-20T18:12:00+00:00",
        "command": "python sweeps/camvid_search.py --data camvid --trials 20 --epochs 12",
        "base": RunConfig().with_values({"data.dataset": "camvid", "data.resize_px": [160, 224]}).flat(),
        "space": SPACE,
        "first_trials": (FIRST,),
        "seed": 7,
        "max_epochs": 12,
        "classes": tuple(CLASSES),
        "colors": tuple(color for color, _ in CLASSES.values()),
        "majority_class": "road",
        "majority_scores": {"val_miou": 0.028},
        "val_classes": tuple(CLASSES),
        "encoder_weights": "none: ImageNet weights could not be fetched, encoders start from scratch",
        "versions": {"segray": "0.1.0", "python": "3.11.2", "torch": "2.15.0", "ray": "2.60.0", "optuna": "5.0.0"},
        "git_revision": "b65bb91",
        "hardware": {"machine": "Linux x86_64", "nodes": 1, "cpus": 2, "gpus": 0, "plan": "2 slots of 1 worker"},
    }
    return SweepInfo(**fields | changes)


def state(status="finished", *, age_seconds=0.0, seconds=1140.0, trials=20):
    return SweepState(status=status, updated_at=time.time() - age_seconds, seconds=seconds, trials=trials)


def splits(num_test=0):
    sides = {"train": 12, "val": 4, "test": num_test}
    images = {side: {f"{side}{number}": 1000 for number in range(count)} for side, count in sides.items()}
    return SplitRecord(dataset="camvid", kind="official", **images)


def scores(trial="0000", epoch=1, miou=0.38):
    return SplitScores(
        split="test",
        trial=trial,
        epoch=epoch,
        num_images=5,
        miou=miou,
        classes=tuple(CLASSES),
        iou=tuple(miou for _ in CLASSES),
        pixel_accuracy=0.8,
        mean_class_accuracy=0.5,
        frequency_weighted_iou=0.7,
        recorded_val_miou=0.4,
        device="cpu",
        evaluated_at="2026-11-20T19:12:00+00:00",
    )


def detailed_scores(trial="0000", epoch=1, miou=0.38):
    """Return test scores with everything that an evaluation finds."""
    random = np.random.default_rng(5)
    size = len(CLASSES)
    counts = random.integers(0, 900, (size, size)) + np.diag(random.integers(2000, 20_000, size))
    counts[-1] = 0  # the labels lack the last class
    iou = (*(float(share) for share in random.uniform(0.2, 0.9, size - 1)), None)
    accuracies = np.linspace(0.05, 0.93, 15)
    return scores(trial, epoch, miou).model_copy(
        update={
            "label_size": "own",
            "training_px": (160, 224),
            "miou_at_training_size": miou + 0.02,
            "iou": iou,
            "loss": 0.7312,
            "boundary_miou": 0.29,
            "boundary_iou": iou,
            "confusion": tuple(map(tuple, counts.tolist())),
            "calibration": CalibrationScores(
                ece=0.043,
                class_ece=tuple(0.05 for _ in CLASSES),
                bins=tuple(
                    ConfidenceBin(share=1 / 15, confidence=(number + 0.5) / 15, accuracy=float(accuracy))
                    for number, accuracy in enumerate(accuracies)
                ),
            ),
            "images": tuple(
                ImageScores(name=f"Seq05VD_f{number:05d}", miou=0.2 + 0.03 * number, pixel_accuracy=0.7)
                for number in range(5)
            ),
            "benchmark": BenchmarkScores(
                title="KITTI Road", note="In the image.", summary={"MaxF": 0.91}, table={"URBAN": {"MaxF": 0.91}}
            ),
            "corruptions": CorruptionScores(
                clean_miou=miou,
                miou={name: tuple(miou * (1 - 0.15 * step) for step in range(5)) for name in ("rain", "fog", "jpeg")},
            ),
        }
    )


def record(epoch, miou=0.4, *, attempt=1, val_iou=None, epoch_seconds=6.0, cluster_accuracy=None, loss=None):
    iou = tuple(miou for _ in CLASSES) if val_iou is None else val_iou
    return EpochRecord(
        epoch=epoch,
        attempt=attempt,
        train_loss=1.8 * 0.85**epoch,
        scores={
            **{name: 0.65 for name in SCORES if "cluster" not in name},
            "val_loss": 1.7 * 0.88**epoch if loss is None else loss,
            "val_miou": miou,
            **({} if cluster_accuracy is None else {"val_cluster_accuracy": cluster_accuracy}),
            **{f"val_iou/{name}": value for name, value in zip(CLASSES, iou, strict=True)},
        },
        learning_rate=1e-3,
        images_per_second=64.0,
        epoch_seconds=epoch_seconds,
        peak_memory_bytes=900_000_000,
        best_score=miou,
        best_epoch=epoch,
    )


def empty_sweep(root, name="camvid", **changes):
    """Write a sweep with only sweep.json and state.json."""
    files = open_sweep(f"{root}/{name}")
    sweep = FakeSweep(files, info(name, **changes))
    files.write_info(sweep.info)
    files.write_state(state())
    return sweep


def write_trial(sweep, trial_id, values, mious, *, losses=None, status="finished", cluster_accuracy=None, **ending):
    """Write a trial with an epoch per mIoU; ``status=None`` leaves it without an outcome."""
    objective = sweep.info.objective
    trial = sweep.files.trial(trial_id)
    trial.write_config(RunConfig().with_values(sweep.info.base | values))
    trial.write_values(values)
    records = []
    for epoch, miou in enumerate(mious, start=1):
        iou = _class_iou(miou, int(trial_id[:4]) + epoch)
        loss = losses[epoch - 1] if losses else None
        records.append(record(epoch, miou, val_iou=iou, cluster_accuracy=cluster_accuracy, loss=loss))
        best = max(records, key=lambda item: objective.rank(item.scores[objective.name]))
        found = {"best_score": best.scores[objective.name], "best_epoch": best.epoch}
        records[-1] = records[-1].model_copy(update=found)
        trial.append_record(records[-1])
    seconds = 3.0 + sum(item.epoch_seconds for item in records)
    if records:
        pointer = CheckpointPointer(checkpoint=f"checkpoints/{len(mious)}-1", record=records[-1], seconds=seconds)
        trial.write_pointer("last", pointer)
    if status is not None:
        best = {name: getattr(records[-1], name) for name in ("best_score", "best_epoch")} if records else {}
        trial.finish(Outcome(status=status, epochs=len(mious), seconds=seconds, **best, **ending))
    return trial


def write_repeats(sweep, trial_id, mious, *, epochs=1, status="finished", losses=None):
    """Write repeats of a trial with seeds from 1, each with one epoch and the given mIoU."""
    for seed, miou in enumerate(mious, start=1):
        repeat = Repeat(trial_id, seed, epochs)
        loss = [losses[seed - 1]] if losses else None
        write_trial(sweep, repeat.id, {"seed": seed, "train.epochs": epochs}, [miou], losses=loss, status=status)


def full_sweep(root, name="camvid", *, num_trials=20, samples=True, tested=False, **changes):
    """Write a sweep with trials of every outcome, in which encoder and learning rate matter most."""
    sweep = empty_sweep(root, name, **changes)
    random = np.random.default_rng(3)
    failures = {
        5: ("failed", "DeepLabV3Plus needs more than one image a step in training", TRACEBACK),
        9: ("diverged", "the training loss was NaN in epoch 3", ""),
        14: ("out_of_memory", "out of memory at micro-batch 1", TRACEBACK.replace("RuntimeError", "OutOfMemoryError")),
    }
    for number in range(num_trials):
        values = FIRST_DRAWN if number == 0 else _proposal(random, number / num_trials)
        curve = _curve(random, values)
        status, reason, traceback = "finished", "", ""
        if number in failures:
            status, reason, traceback = failures[number]
            curve = curve[:2] if status == "diverged" else []
        elif number > 2 and max(curve) < 0.40:
            status, reason = "stopped", "stopped early after epoch 2: below the median of its rung"
            curve = curve[: random.choice([1, 3])]
        write_trial(sweep, f"{number:04d}", values, curve, status=status, reason=reason, traceback=traceback)
    if samples:
        write_samples(sweep, trials=[f"{number:04d}" for number in range(num_trials)])
    if tested:
        write_test(sweep)
    return sweep


def write_test(sweep):
    """Write test images and the best trial's scores on them."""
    best = load(sweep.files.folder.path).best_trial()
    sweep.files.write_test_scores(detailed_scores(best["id"], int(best["best_epoch"])))
    sweep.files.write_splits(splits(num_test=5))


def write_samples(sweep, trials, stems=("0016E5_08001", "Seq05VD_f02550")):
    """Write small drawn scenes: photo, truth, and for each trial a prediction, the truth with an eroded edge."""
    random = np.random.default_rng(0)
    for number, stem in enumerate(stems):
        truth = _scene(number)
        palette = np.zeros((256, 3), dtype=np.uint8)
        palette[: len(CLASSES)] = [color for color, _ in CLASSES.values()]
        shades = palette[truth].astype(float)
        photo = np.clip(0.5 * shades + 70 + random.normal(0, 12, shades.shape), 0, 255).astype(np.uint8)
        sweep.files.folder.write_bytes(f"samples/{stem}_photo.png", _png(Image.fromarray(photo)))
        sweep.files.folder.write_bytes(f"samples/{stem}_truth.png", _indexed_png(truth, palette))
        guess = np.where(truth == 255, 4, np.roll(truth, 3, axis=1))
        guess[guess == 2] = 1
        for trial in trials:
            content = _indexed_png(guess, palette)
            sweep.files.trial(trial).folder.write_bytes(f"samples/{stem}_prediction.png", content)
        if number == 0:
            for epoch, shift in ((1, 24), (2, 12), (4, 6), (8, 4), (9, 3)):
                early = _indexed_png(np.roll(guess, shift, axis=1), palette)
                for trial in trials:
                    sweep.files.trial(trial).folder.write_bytes(f"samples/{stem}_epoch_{epoch:04d}.png", early)


def _proposal(random, progress):
    good = random.random() < progress
    proposal = {
        "model.encoder": str(
            random.choice(["resnet34"] if good else ["resnet18", "mobilenet_v2", "tu-mobilenetv3_small_050"])
        ),
        "model.arch": str(random.choice(["Unet", "FPN", "DeepLabV3Plus"])),
        "loss.name": str(random.choice(["cross_entropy", "cross_entropy+dice", "0.5*focal+lovasz"])),
        "data.policy": str(random.choice(["none", "light", "medium", "strong"])),
        "train.batch_size": int(random.choice([4, 8, 16])),
        "train.epochs": int(random.integers(6, 13)),
        "optim.lr": float(10 ** (random.normal(-2.7, 0.15) if good else random.uniform(-4, -2))),
        "optim.weight_decay": float(10 ** random.uniform(-6, -2)),
    }
    if "focal" in proposal["loss.name"]:
        proposal["loss.focal_gamma"] = 1.0 + proposal["train.batch_size"] / 4
    return proposal


def _curve(random, values):
    encoder = {"resnet18": 0.0, "resnet34": 0.035, "mobilenet_v2": -0.02, "tu-mobilenetv3_small_050": -0.05}
    loss = {"cross_entropy+dice": 0.012, "0.5*focal+lovasz": -0.01}
    top = 0.41 + encoder[values["model.encoder"]] + loss.get(values.get("loss.name"), 0.0)
    top -= 0.06 * abs(np.log10(values["optim.lr"]) + 2.7)
    top += random.normal(0, 0.006)
    epochs = values["train.epochs"]
    rise = 1 - np.exp(-3.2 * np.arange(1, epochs + 1) / epochs)
    return [round(float(miou), 4) for miou in top * rise / rise[-1] + random.normal(0, 0.006, epochs)]


def _class_iou(miou, seed):
    if miou is None:
        return (None,) * len(CLASSES)
    noise = np.random.default_rng(seed).normal(0, 0.02, len(CLASSES))
    usual = np.array([iou for _, iou in CLASSES.values()])
    return tuple(float(iou) for iou in np.clip(usual * miou / usual.mean() + noise, 0.0, 0.97))


def _scene(number):
    rows, columns = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    scene = np.zeros((HEIGHT_PX, WIDTH_PX), dtype=np.uint8)
    scene[(rows > 30 + 10 * np.sin(columns / 25 + number)) & (rows < 70)] = 1
    scene[(rows > 25) & (rows < 70) & ((columns - 20 - 40 * number) ** 2 < 300)] = 5
    scene[rows >= 66] = 4
    scene[(rows >= 66) & (np.abs(columns - 80) < 14 + 1.1 * (rows - 66))] = 3
    scene[(rows > 62) & (rows < 88) & (np.abs(columns - 60 - 50 * number) < 17)] = 8
    scene[(rows > 28) & (rows < 90) & (np.abs(columns - 130) < 2)] = 2
    scene[(rows > 26) & (rows < 38) & (np.abs(columns - 130) < 7)] = 6
    scene[(rows > 60) & (rows < 92) & (np.abs(columns - 18) < 4)] = 9
    scene[rows > 114] = 255
    return scene


def _png(image):
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _indexed_png(ids, palette):
    image = Image.frombytes("P", (ids.shape[1], ids.shape[0]), ids.astype(np.uint8).tobytes())
    image.putpalette(palette.tobytes())
    return _png(image)


def note_texts(results, *kinds):
    """Return the texts of these kinds of notes, with plain spaces."""
    return [note.text.replace("\u00a0", " ") for note in notes(results, kinds)]
