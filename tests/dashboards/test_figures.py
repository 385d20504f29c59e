import base64
import io

import fake_sweep
import numpy as np
import plotly.graph_objects as go
import pytest
from PIL import Image

from dashboards.figures import FIGURES, NothingToDrawError
from dashboards.figures.agreement import agreement_info
from dashboards.figures.calibration import calibration_info
from dashboards.figures.choices import choices_info
from dashboards.figures.classes import classes_info
from dashboards.figures.confusion import confusion_info
from dashboards.figures.corruptions import corruptions_info
from dashboards.figures.curves import curves_info
from dashboards.figures.history import history_info
from dashboards.figures.importance import importance_info
from dashboards.figures.losses import losses_info
from dashboards.figures.parallel import parallel_info
from dashboards.figures.pictures import VOID_COLOR
from dashboards.figures.predictions import COLUMNS, ERROR_COLOR, RIGHT_COLOR, predictions_info
from dashboards.figures.progress import progress_info
from dashboards.figures.repeats import repeats_info
from dashboards.figures.style import wrapped
from segray.results import load


def load_sweep(sweep):
    return load(sweep.files.folder.path)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_draws_a_full_sweep_and_says_how_to_read_it(name, full):
    figure = FIGURES[name]
    assert isinstance(figure.plot(full), go.Figure)
    assert figure.title
    assert figure.reading.endswith(".")


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_says_in_a_sentence_that_a_sweep_without_trials_gives_nothing(name, sweep):
    with pytest.raises(NothingToDrawError, match=r"^[A-Z].*\.$"):
        FIGURES[name].plot(load_sweep(sweep))


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_stands_failures_only(name, sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [], status="failed", reason="why")
    fake_sweep.write_trial(sweep, "0001", {}, [None], status="diverged")
    try:
        figure = FIGURES[name].plot(load_sweep(sweep))
    except NothingToDrawError:
        return
    assert name == "history", "a figure of trials without a score must raise NothingToDrawError"
    assert {"failed", "diverged"} <= {trace.name for trace in figure.data}


def test_early_ranks_are_compared_with_final_ones_over_whole_trials_alone(sweep):
    for number in range(10):
        # Until half of the schedule the best trial is the worst.
        early = 0.05 if number == 9 else 0.1 + 0.01 * number
        mious = [early, early, 0.3 + 0.01 * number, 0.4 + 0.01 * number]
        fake_sweep.write_trial(sweep, f"{number:04d}", {"train.epochs": 4}, mious)
    fake_sweep.write_trial(sweep, "0010", {"train.epochs": 4}, [0.9], status="stopped")
    fake_sweep.write_trial(sweep, "0011", {"train.epochs": 40}, [0.9] * 3)
    info = agreement_info(load_sweep(sweep))
    assert (info.num_trials, info.num_top) == (10, 1)
    shares = {round(12 * point.share): point for point in info.points}
    assert min(shares) == 3, "before a quarter no trial has a score"
    assert shares[3].correlation == pytest.approx(1 - 6 * (9**2 + 9) / 990)
    assert shares[3].top_lost == 1.0
    assert shares[9].correlation == pytest.approx(1.0)
    assert shares[9].top_lost == 0.0


def test_ranks_of_few_whole_trials_are_not_drawn(sweep):
    for number in range(4):
        fake_sweep.write_trial(sweep, f"{number:04d}", {"train.epochs": 2}, [0.1, 0.2])
    with pytest.raises(NothingToDrawError, match="Ranks need 5 trials that ran their whole schedule, but 4 did so far"):
        agreement_info(load_sweep(sweep))


def test_history_keeps_the_best_so_far_and_leaves_failed_trials_out(sweep):
    for number, (miou, status) in enumerate(
        [(0.2, "finished"), (0.1, "stopped"), (0.9, "diverged"), (None, "failed"), (0.3, "finished")]
    ):
        mious = [] if miou is None else [miou]
        fake_sweep.write_trial(sweep, f"{number:04d}", {}, mious, status=status)
    info = history_info(load_sweep(sweep))
    assert info.best_so_far == (0.2, 0.2, 0.2, 0.2, 0.3)
    assert [point.score for point in info.points] == [0.2, 0.1, 0.9, None, 0.3]
    assert (info.first_score, info.majority_class, info.majority_score) == (0.2, "road", 0.028)


def test_history_names_the_recipe_that_the_first_trial_is(tmp_path):
    sweep = fake_sweep.empty_sweep(tmp_path, recipe="fcn")
    fake_sweep.write_trial(sweep, "0000", {}, [0.2])
    assert history_info(load_sweep(sweep)).first_name == "recipe fcn"


def test_repeats_show_each_trial_seed_by_seed_with_its_interval(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.2])
    fake_sweep.write_trial(sweep, "0001", {"train.epochs": 6}, [0.4])
    fake_sweep.write_trial(sweep, "0002", {"train.epochs": 4}, [0.39])
    fake_sweep.write_repeats(sweep, "0001", [0.35, 0.37, 0.36], epochs=6)
    fake_sweep.write_repeats(sweep, "0002", [0.38, 0.41, 0.39], epochs=4)
    fake_sweep.write_repeats(sweep, "0000", [0.21, 0.22], epochs=6)
    results = load_sweep(sweep)
    assert {name: trial.scores.values for name, trial in repeats_info(results).trials.items()} == {
        "trial 0002": (0.38, 0.41, 0.39),
        "trial 0001": (0.35, 0.37, 0.36),
        "the first trial": (0.21, 0.22),
    }
    dots, mean, *_ = FIGURES["repeats"].plot(results).data
    assert list(dots.x) == pytest.approx([38, 41, 39])
    low, _ = results.race.contestants[0].interval
    assert mean.error_x.array[0] == pytest.approx(mean.x[0] - 100 * low)


@pytest.mark.parametrize(
    ("first", "status", "shown"), [("0000", "finished", 0.3), ("0000", "failed", None), ("0001", "finished", None)]
)
def test_the_history_has_a_baseline_that_ran_to_its_end(sweep, first, status, shown):
    fake_sweep.write_trial(sweep, first, {}, [0.3], status=status)
    assert history_info(load(sweep.files.folder.path)).first_score == shown


def test_losses_are_those_of_the_best_trials_epochs(full):
    info = losses_info(full)
    records = full.epochs[full.epochs["trial"] == full.best_trial()["id"]]
    assert info.trial == full.best_trial()["id"]
    assert info.epochs == tuple(records["epoch"])
    assert info.losses == {"training": tuple(records["train_loss"]), "validation": tuple(records["val_loss"])}


def test_curves_highlight_the_best_three_and_draw_the_best_last(full):
    curves = curves_info(full).curves
    assert [curve.rank for curve in curves[-3:]] == [2, 1, 0]
    assert all(curve.rank is None for curve in curves[:-3])
    assert curves[-1].trial == full.best_trial()["id"]
    assert "encoder: resnet34" in curves[-1].config


def test_parallel_places_choices_evenly_and_numbers_by_their_scale(sweep):
    values = [("b", 1e-4), ("a", 1e-3), ("c", 1e-2)]
    for number, (encoder, lr) in enumerate(values):
        fake_sweep.write_trial(sweep, f"{number:04d}", {"model.encoder": encoder, "optim.lr": lr}, [0.1 * (number + 1)])
    info = parallel_info(load_sweep(sweep))
    axes = {axis.label: (index, axis) for index, axis in enumerate(info.axes)}
    encoder, axis = axes["encoder"]
    assert [tick.label for tick in axis.ticks] == ["a", "b", "c"]
    assert [line.positions[encoder] for line in info.lines] == pytest.approx([1 / 2, 1 / 6, 5 / 6])
    lr, axis = axes["lr"]
    assert axis.is_log
    assert [line.positions[lr] for line in info.lines] == pytest.approx([0.0, 0.5, 1.0])
    assert [tick.label for tick in axis.ticks] == ["0.0001", "0.001", "0.01"]
    assert info.axes[-1].label == "val mIoU"
    assert [line.score for line in info.lines] == sorted(line.score for line in info.lines)


def test_parallel_puts_a_value_that_never_varied_in_the_middle(sweep):
    for number in range(2):
        fake_sweep.write_trial(sweep, f"{number:04d}", {"optim.lr": 1e-3, "model.arch": "FPN"}, [0.2])
    info = parallel_info(load_sweep(sweep))
    assert {position for line in info.lines for position in line.positions} == {0.5}


CONDITIONAL = [
    {"loss.name": "focal", "loss.focal_gamma": 1.0},
    {"loss.name": "dice"},
    {"loss.name": "focal", "loss.focal_gamma": 3.0},
]
"""RunConfig's own gamma, 2, is none of them."""


def test_parallel_leads_trials_that_did_not_draw_a_key_past_the_others(sweep):
    for number, values in enumerate(CONDITIONAL):
        fake_sweep.write_trial(sweep, f"{number:04d}", values, [0.1 * (number + 1)])
    info = parallel_info(load_sweep(sweep))
    place, axis = next((place, axis) for place, axis in enumerate(info.axes) if axis.label == "focal gamma")
    first, skipped, last = (line.positions[place] for line in info.lines)
    assert skipped == 0.0 < 0.1 < first < last == 1.0
    assert [tick.label for tick in axis.ticks] == ["not drawn", "1", "2", "3"]
    assert [tick.position for tick in axis.ticks] == pytest.approx([skipped, first, (first + last) / 2, last])
    assert "gamma" not in info.lines[1].hover


def test_parallel_draws_a_key_that_only_failed_trials_drew(sweep):
    for number, values in enumerate(CONDITIONAL):
        drew = "loss.focal_gamma" in values
        fake_sweep.write_trial(sweep, f"{number:04d}", values, [0.2], status="diverged" if drew else "finished")
    fake_sweep.write_trial(sweep, "0003", {"loss.name": "dice"}, [0.3])
    info = parallel_info(load_sweep(sweep))
    ticks = {axis.label: [tick.label for tick in axis.ticks] for axis in info.axes}
    assert ticks["focal gamma"] == ["not drawn"]


def test_choices_count_only_trials_that_drew_the_key(sweep):
    for number, (name, encoder) in enumerate([("unet", None), ("smp", "resnet34"), ("smp", "resnet50")]):
        values = {"model.name": name} | ({"model.encoder": encoder} if encoder else {})
        fake_sweep.write_trial(sweep, f"{number:04d}", values, [0.2])
    groups = {group.label: group for group in choices_info(load_sweep(sweep)).groups}
    assert {choice.name for choice in groups["encoder"].choices} == {"resnet34", "resnet50"}


def test_importance_leaves_keys_out_that_not_every_trial_drew(sweep):
    for number in range(9):
        values = CONDITIONAL[number % 3] | {"optim.lr": 1e-3 * (number + 1)}
        fake_sweep.write_trial(sweep, f"{number:04d}", values, [0.1 * (number % 3) + 0.01 * number])
    assert {label for label, _ in importance_info(load_sweep(sweep)).shares} == {"loss", "lr"}


def test_importance_finds_the_key_that_matters(sweep):
    random = np.random.default_rng(0)
    for number in range(16):
        lr, decay = (float(10**exponent) for exponent in random.uniform(-4, -2, 2))
        values = {"optim.lr": lr, "optim.weight_decay": decay, "data.policy": ["light", "strong"][number % 2]}
        fake_sweep.write_trial(sweep, f"{number:04d}", values, [0.5 + 0.1 * float(np.log10(lr))])
    info = importance_info(load_sweep(sweep))
    assert info.num_trials == 16
    assert info.shares[0][0] == "lr"
    assert info.shares[0][1] > 0.8
    assert sum(share for _, share in info.shares) == pytest.approx(1.0)
    assert {label for label, _ in info.shares} == {"lr", "weight decay", "policy"}


def test_importance_of_too_few_trials_is_not_drawn(sweep):
    for number in range(7):
        fake_sweep.write_trial(sweep, f"{number:04d}", {"optim.lr": 10.0 ** -(number + 1)}, [0.1 * number])
    with pytest.raises(NothingToDrawError, match=r"at least 8 trials .* there are 7"):
        importance_info(load_sweep(sweep))


def test_choices_are_grouped_with_the_highest_median_first(sweep):
    taken = [("resnet18", 0.2), ("resnet18", 0.3), ("resnet34", 0.4), ("resnet34", 0.1), ("resnet34", 0.5)]
    for number, (encoder, miou) in enumerate(taken):
        status = "stopped" if number % 2 else None
        fake_sweep.write_trial(sweep, f"{number:04d}", {"model.encoder": encoder}, [miou], status=status)
    (group,) = choices_info(load_sweep(sweep)).groups
    assert group.label == "encoder"
    assert [(choice.name, len(choice.points)) for choice in group.choices] == [("resnet34", 3), ("resnet18", 2)]
    assert group.choices[0].median_score == 0.4
    assert all(point.is_cut for point in group.choices[0].points)


def test_classes_come_from_each_trials_best_epoch_strongest_first(sweep):
    trial = fake_sweep.write_trial(sweep, "0000", {}, [], status="finished")
    ious = tuple(0.05 * (index + 1) for index in range(10))
    trial.append_record(fake_sweep.record(1, 0.3, val_iou=(*ious, None)))
    trial.append_record(fake_sweep.record(2, 0.2, val_iou=(0.9,) * 11))
    info = classes_info(load_sweep(sweep))
    assert info.trials == ("0000",)
    assert [score.ious[0] for score in info.classes] == [*reversed(ious), None]
    assert info.classes[0].color == fake_sweep.CLASSES["pedestrian"][0]


def picture(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB")


def test_predictions_show_the_best_trial_and_mark_wrong_pixels(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    fake_sweep.write_trial(sweep, "0001", {}, [0.2])
    fake_sweep.write_samples(sweep, ["0001"])
    info = predictions_info(load_sweep(sweep))
    assert info.trial == "0001"  # the best trial that has samples
    sample = info.samples[0]
    assert sample.size_px == (fake_sweep.HEIGHT_PX, fake_sweep.WIDTH_PX)
    photo, truth, prediction, errors = (picture(uri) for uri in sample.pictures)
    assert len(sample.pictures) == len(COLUMNS)
    assert {image.size for image in (photo, truth, prediction, errors)} == {(160, 120)}
    assert truth.getpixel((3, 119)) == errors.getpixel((3, 119)) == VOID_COLOR
    colors = {color for _, color in errors.getcolors()}
    assert colors == {ERROR_COLOR, RIGHT_COLOR, VOID_COLOR}
    labelled = np.asarray(errors)[np.asarray(truth).any(axis=-1)]
    assert sample.accuracy == pytest.approx((labelled == RIGHT_COLOR).all(axis=-1).mean())
    assert ("car", (64, 0, 128)) in info.legend
    assert "fence" not in dict(info.legend)


def test_the_share_that_is_right_counts_every_pixel_of_a_large_image(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    truth = np.zeros((8, 2048), np.uint8)
    guess = truth.copy()
    guess[0, 1::2] = 1  # pixels that a thumbnail would leave out
    palette = Image.new("P", (1, 1)).getpalette()
    for folder, name, ids in (
        (sweep.files.folder, "truth", truth),
        (sweep.files.trial("0000").folder, "prediction", guess),
    ):
        image = Image.fromarray(ids, mode="P")
        image.putpalette(palette or [0] * 768)
        stream = io.BytesIO()
        image.save(stream, "PNG")
        folder.write_bytes(f"samples/wide_{name}.png", stream.getvalue())
    stream = io.BytesIO()
    Image.fromarray(np.zeros((8, 2048, 3), np.uint8)).save(stream, "PNG")
    sweep.files.folder.write_bytes("samples/wide_photo.png", stream.getvalue())
    (sample,) = predictions_info(load_sweep(sweep)).samples
    assert sample.accuracy == 1 - 1024 / truth.size
    assert sample.size_px == (2, 512)


def test_one_photo_is_shown_after_several_epochs_of_the_best_trial(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    fake_sweep.write_trial(sweep, "0001", {}, [0.2])
    fake_sweep.write_samples(sweep, ["0000", "0001"])
    info = progress_info(load_sweep(sweep))
    assert (info.trial, info.stem) == ("0000", "0016E5_08001")
    assert [shown.epoch for shown in info.epochs] == [1, 2, 4, 8, 9]
    shares = [shown.accuracy for shown in info.epochs]
    assert shares == sorted(shares)
    assert shares[0] < shares[-1] <= 1
    assert {picture(shown.picture).size for shown in info.epochs} == {picture(info.photo).size}
    figure = FIGURES["progress"].plot(load_sweep(sweep))
    assert len(figure.layout.images) == 7
    assert {axis.matches for axis in figure.select_xaxes() if axis.range} == {None, "x"}


def test_a_best_trial_without_pictures_of_its_epochs_shows_no_other_trials(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    fake_sweep.write_trial(sweep, "0001", {}, [0.2])
    fake_sweep.write_samples(sweep, ["0001"])
    with pytest.raises(NothingToDrawError, match="kept no predictions of its epochs"):
        progress_info(load_sweep(sweep))


def test_large_photos_are_shrunk(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    fake_sweep.write_samples(sweep, ["0000"], stems=("a",))
    stream = io.BytesIO()
    Image.new("RGB", (2048, 1024)).save(stream, "PNG")
    sweep.files.folder.write_bytes("samples/a_photo.png", stream.getvalue())
    assert predictions_info(load_sweep(sweep)).samples[0].size_px == (256, 512)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("cross_entropy", "cross_entropy"),
        ("cross_entropy+dice", "cross_entropy+<br>dice"),
        ("tu-mobilenetv3_small_050", "tu-mobilenetv3_<br>small_050"),
        ("<script>alert_alert", "&lt;script&gt;alert_<br>alert"),
        ("x" * 30, "x" * 30),
    ],
)
def test_long_names_are_broken_where_they_read_well(label, expected):
    assert wrapped(label) == expected


def test_the_confusion_is_in_shares_of_the_labelled_classes(full):
    info = confusion_info(full)
    counts = np.array(full.test.confusion)
    assert info.labelled == full.test.classes[:-1]
    assert info.predicted == full.test.classes
    assert sum(info.pixels) == counts.sum()
    np.testing.assert_allclose(info.shares, counts[:-1] / counts[:-1].sum(axis=1, keepdims=True))


def test_calibration_leaves_bins_without_pixels_out(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    fake_sweep.write_test(sweep)
    found = sweep.files.test_scores()
    empty = found.calibration.bins[0].model_copy(update={"share": 0.0, "confidence": None, "accuracy": None})
    calibration = found.calibration.model_copy(update={"bins": (empty, *found.calibration.bins[1:])})
    sweep.files.write_test_scores(found.model_copy(update={"calibration": calibration}))
    info = calibration_info(load_sweep(sweep))
    assert len(info.bins) == 14
    assert info.ece == 0.043


def test_corruptions_are_relative_to_the_clean_photos(full):
    info = corruptions_info(full)
    assert info.names == ("rain", "fog", "jpeg")
    assert info.kept[0] == pytest.approx((1, 0.85, 0.7, 0.55, 0.4))


def test_corruptions_that_were_not_judged_name_the_command(sweep):
    fake_sweep.write_trial(sweep, "0000", {}, [0.3])
    fake_sweep.write_test(sweep)
    sweep.files.write_test_scores(sweep.files.test_scores().model_copy(update={"corruptions": None}))
    with pytest.raises(NothingToDrawError, match="segray evaluate --corruptions does it"):
        corruptions_info(load_sweep(sweep))
