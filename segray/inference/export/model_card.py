"""README.md of a model folder: what a person needs to know before using the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from segray import text
from segray.config import RunConfig
from segray.inference.export.preprocessing import steps_in_words
from segray.inference.export.smp_form import has_smp_form
from segray.labels import LabelSpace
from segray.model_record import ModelRecord
from segray.models import SegmentationModel
from segray.objective import CLASS_IOU, SCORES

_TRAINING_KEYS: Final = (
    *("data.resize_px", "data.crop_px", "data.policy", "loss.name", "optim.name", "optim.lr", "optim.weight_decay"),
    *("optim.schedule", "train.epochs", "train.batch_size", "train.ema_decay", "train.precision", "seed"),
)


def model_card(
    record: ModelRecord, model: SegmentationModel, config: RunConfig, label_space: LabelSpace, folder_name: str
) -> str:
    """Return the model card as Markdown."""
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    sections = [
        f"# {record.title}",
        f"A model that segments street scenes into {label_space.num_classes} classes: "
        f"{_network(config)}, {num_parameters / 1e6:.1f} million parameters. {_origin(record)}",
        "## Scores\n\n" + _scores(record, config),
        "## Classes\n\n" + _classes(record, label_space, config),
        "## Use\n\n" + _use(config, folder_name),
        "## From photo to labels\n\n" + _numbered(steps_in_words(model, config.data.resize_px)),
        "## Training\n\n" + _training(record, config),
        "## Limits\n\n" + _bullets(_limits(record, config)),
    ]
    return "\n\n".join(sections) + "\n"


def _network(config: RunConfig) -> str:
    if config.model.name != "smp":
        return f"{config.model.name}" + (f" ({config.model.encoder})" if config.model.name == "fcn8s" else "")
    return f"{config.model.arch} of segmentation-models-pytorch with the encoder {config.model.encoder}"


def _origin(record: ModelRecord) -> str:
    lineage = record.lineage
    trial = "a single checkpoint"
    if lineage.sweep:
        trial = f"trial {lineage.trial} of the sweep {lineage.sweep}"
    if lineage.soup_of:
        trial = f"the mean of the weights of trials {', '.join(lineage.soup_of)} of the sweep {lineage.sweep}"
    epoch = f", epoch {record.epoch}" if record.epoch is not None else ""
    return f"It is {trial}{epoch}, trained with segray on the data set {lineage.dataset or 'unknown'}."


def _val_images(config: RunConfig) -> str:
    return "training images" if config.data.all_data else "validation"


def _scores(record: ModelRecord, config: RunConfig) -> str:
    test = record.test_scores
    rows = [f"| score | {_val_images(config)} | test |", "|---|---:|---:|"]
    for name, score in SCORES.items():
        val = record.val_scores.get(name)
        on_test = test.score(name) if test else None
        if val is not None or on_test is not None:
            shown = text.percent if score.is_fraction else text.decimal
            rows.append(f"| {score.label.removeprefix('val ')} | {shown(val)} | {shown(on_test)} |")
    if len(rows) == 2:
        return "No scores are known, because the checkpoint was exported without its trial."
    chosen = "The validation images chose the trial and the epoch, so their scores are slightly too good."
    if config.data.all_data:
        chosen = "The validation images trained the model too (data.all_data), so their scores say little about others."
    return "\n".join(rows) + f"\n\n{chosen}" + ("" if test else " The model was not scored on test images.")


def _classes(record: ModelRecord, label_space: LabelSpace, config: RunConfig) -> str:
    test_iou = dict(zip(record.test_scores.classes, record.test_scores.iou, strict=True)) if record.test_scores else {}
    rows = [f"| id | class | colour (RGB) | IoU, {_val_images(config)} | IoU, test |", "|---:|---|---|---:|---:|"]
    for index, (name, color) in enumerate(zip(label_space.names, label_space.colors, strict=True)):
        val = text.percent(record.val_scores.get(CLASS_IOU + name))
        escaped = name.replace("|", "\\|")
        cells = (str(index), escaped, ", ".join(map(str, color)), val, text.percent(test_iou.get(name)))
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n\nA dash stands for a class that the images do not show, or a score that is not known."


def _use(config: RunConfig, folder_name: str) -> str:
    lines = [
        "```python",
        "import segray",
        "",
        f'model = segray.load_model("{folder_name}")',
        'prediction = model.predict("photo.jpg")  # a photo of any size',
        "prediction.labels  # (height, width), ids of the table above",
        "```",
        "",
        f"On the command line: `segray predict {folder_name} photo.jpg`.",
    ]
    if has_smp_form(config):
        lines += [
            "",
            "Without segray, in segmentation-models-pytorch's own form:",
            "",
            "```python",
            "import segmentation_models_pytorch as smp",
            "",
            f'network = smp.from_pretrained("{folder_name}/smp")',
            "```",
            "",
            "`network` is the bare network: do the steps below around it.",
        ]
    return "\n".join(lines)


def _training(record: ModelRecord, config: RunConfig) -> str:
    flat, lineage = config.flat(), record.lineage
    rows = ["| key | value |", "|---|---|"]
    rows += [f"| `{key}` | {text.value(flat[key])} |" for key in _TRAINING_KEYS if flat.get(key) is not None]
    images = ", ".join(f"{number} {name}" for name, number in lineage.num_images.items())
    facts = [
        f"Images: {images}." if images else "",
        f"Fingerprint of the data: `{lineage.data_fingerprint}`." if lineage.data_fingerprint else "",
        f"Recipe: {lineage.recipe}." if lineage.recipe else "",
        f"Code: git revision `{lineage.git_revision}`." if lineage.git_revision else "",
        "Trained with " + ", ".join(f"{name} {number}" for name, number in lineage.trained_with.items()) + "."
        if lineage.trained_with
        else "",
        "`config.json` holds the full config, `model.json` the lineage.",
    ]
    return "\n".join(rows) + "\n\n" + _bullets([fact for fact in facts if fact])


def _limits(record: ModelRecord, config: RunConfig) -> list[str]:
    found = [
        f"The model knows the classes above and photos like those of {config.data.dataset}. Other cameras, countries, "
        "weather and light give worse labels; measure on your own labelled photos with `segray evaluate`.",
        "Every pixel gets a class, also where the photo shows something else.",
        "Rare and small classes have low IoU; the table says which.",
        "It is not made for decisions that people's safety depends on.",
    ]
    iou = {name.removeprefix(CLASS_IOU): iou for name, iou in record.val_scores.items() if name.startswith(CLASS_IOU)}
    if unseen := [name for name in iou if iou[name] is None]:
        found.insert(2, f"Not in the validation images, so not measured: {', '.join(unseen)}.")
    return found


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _numbered(lines: Sequence[str]) -> str:
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))
