"""What can be wrong with a sweep is one error before anything is written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from safetensors.torch import save_file

from segray.cluster.resources import Resources, make_plan
from segray.config import ModelConfig, RunConfig
from segray.data.preparation import prepare
from segray.data.synthetic import NEEDED_VALUES, write_scenes
from segray.engine.footprint import footprint
from segray.errors import ConfigError, DataError, StorageError
from segray.models import build_model
from segray.tuning.preflight import check, parts, training
from segray.tuning.preflight.point import check_point
from segray.tuning.run.resuming import as_begun
from segray.tuning.run.start import run_sweep
from segray.tuning.run.sweep_record import sweep_record
from segray.tuning.space import describe
from segray.tuning.sweep import Sweep


def space(trial):
    trial.suggest_float("optim.lr", 1e-4, 1e-2, log=True)


def choosing(key, *choices):
    def choose(trial):
        trial.suggest_categorical(key, list(choices))

    return choose


@pytest.fixture
def base(scenes, tmp_path):
    return RunConfig().with_values(
        {
            "data.dataset": "cityscapes",
            "data.root": str(scenes),
            "data.cache_dir": str(tmp_path / "cache"),
            "model.encoder": "tu-test_resnet",
            "model.encoder_weights": "none",
            "train.batch_size": 4,
        }
    )


def checked(base, space=space, first_trials=(), max_epochs=None, num_workers=1, said=None, memory=None, **fields):
    announce = [].append if said is None else said.append
    sweep = Sweep(name="s", base=base, space=space, first_trials=first_trials, epochs=max_epochs, **fields)
    return check(sweep, num_workers=num_workers, announce=announce, **(memory or {}))


@pytest.mark.parametrize(
    ("key", "choices", "message"),
    [
        ("model.encodr", ["resnet18"], "did you mean 'model.encoder'"),
        ("model.encoder", ["resnet18", "resnet81"], "did you mean 'resnet18'"),
        ("model.arch", ["Unett"], "did you mean 'Unet'"),
        ("model.name", ["smpp"], "did you mean 'smp'"),
        ("loss.name", ["dyce"], "did you mean 'dice'"),
        ("loss.name", ["cross_entropy+lovas"], "did you mean 'lovasz'"),
        ("data.policy", ["lite"], "did you mean 'light'"),
        ("optim.name", ["adamv"], "'adamw', 'adam' or 'sgd'"),
        ("loss.name", ["boundry"], "did you mean 'boundary'"),
        ("loss.focal_alpha", ["balancd"], "must be a number above 0 and at most 1, balanced"),
        ("loss.boundary_width_px", [0], "greater than or equal to 1, but got 0"),
        ("loss.label_smoothing", [1.5], "less than 1, but got 1.5"),
        ("seed", [-1], "greater than or equal to 0, but got -1"),
        ("train.batch_size", [4, 9], "at most the 8 training images, but got 9"),
        ("train.batch_size", [0], "greater than or equal to 1, but got 0"),
    ],
)
def test_a_wrong_key_or_choice_is_named_with_what_is_valid(base, key, choices, message):
    with pytest.raises(ConfigError) as error:
        checked(base, choosing(key, *choices))
    assert message in str(error.value)


def test_a_misspelt_key_is_named_where_the_first_trial_is_a_recipe_too(base):
    with pytest.raises(ConfigError, match="did you mean 'model\\.encoder'"):
        checked(base, choosing("model.encodr", "resnet18"), recipe="fcn")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"optim.name": "adam", "optim.l2_layers": "network.decodr."}, "did you mean 'network.decoder'"),
        ({"optim.name": "adamw"}, "optim.l2 needs optim.name adam or sgd"),
    ],
)
def test_l2_that_cannot_be_had_is_found_among_the_drawn_ones(base, values, message):
    with pytest.raises(ConfigError) as error:
        checked(base.with_values(values), choosing("optim.l2", 0.0, 1e-3))
    assert message in str(error.value)


def test_a_pair_that_smp_refuses_is_found_among_the_drawn_ones(base):
    def pairs(trial):
        trial.suggest_categorical("model.arch", ["Unet", "Linknet"])
        trial.suggest_categorical("model.encoder", ["resnet18", "mit_b0"])

    with pytest.raises(ConfigError, match=r"Linknet.*mit_b0"):
        checked(base, pairs)


@pytest.mark.parametrize("conditional", [False, True])
def test_a_choice_that_random_trials_miss_is_checked(base, conditional):
    def rare(trial):
        schedule = trial.suggest_categorical("optim.schedule", ["poly", "cosine"])
        if schedule == "poly" or not conditional:
            trial.suggest_categorical("loss.name", [*(f"{weight}*dice" for weight in range(1, 600)), "dyce"])

    with pytest.raises(ConfigError, match="dyce"):
        checked(base, rare)


@pytest.mark.parametrize(("num_encoders", "complete"), [(15, True), (80, False)])
def test_every_choice_and_up_to_a_limit_every_pair_of_models_is_checked(base, monkeypatch, num_encoders, complete):
    def models(trial):
        trial.suggest_categorical("model.encoder", [f"encoder{number}" for number in range(num_encoders)])
        trial.suggest_categorical("model.arch", [f"arch{number}" for number in range(12)])

    seen = []
    monkeypatch.setattr(parts, "check_model", seen.append)
    monkeypatch.setattr(training, "check_train_shape", lambda model, **shape: None)
    checked(base, models)
    assert len({model.encoder for model in seen}) == num_encoders
    assert len({(model.arch, model.encoder) for model in seen}) == len(seen)
    assert (len(seen) == 12 * num_encoders) == complete


def test_the_data_set_is_prepared_once_however_trials_draw_from_it(base, monkeypatch):
    def draws(trial):
        trial.suggest_categorical("data.policy", ["none", "light", "custom"])
        trial.suggest_float("data.augment.brightness", 0.0, 0.5)
        trial.suggest_categorical("data.rare_class_crops", [0.0, 0.5])

    seen = []
    monkeypatch.setattr(training, "prepare", lambda config, announce: seen.append(config) or prepare(config, announce))
    checked(base, draws)
    assert len(seen) == 1


def test_what_is_decoded_is_said_to_the_person(base, capsys):
    said = []
    checked(base, said=said)
    assert [line for line in said if line.startswith("decoding")]
    assert capsys.readouterr().out == ""


def test_a_batch_that_the_architecture_cannot_train_on(base):
    values = {"model.arch": "DeepLabV3Plus", "model.encoder": "resnet18", "train.batch_size": 1}
    with pytest.raises(ConfigError, match="at least 2 images per worker"):
        checked(base.with_values(values))


def test_a_batch_with_fewer_images_than_workers(base):
    with pytest.raises(ConfigError, match="batch 4 with 5 workers"):
        checked(base, num_workers=5)


def test_a_warm_up_as_long_as_the_run(base):
    with pytest.raises(ConfigError, match=r"must be below train\.epochs, but got 2 of 2"):
        checked(base.with_values({"optim.schedule": "poly", "optim.warmup_epochs": 2}), max_epochs=2)


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"optim.lrr": 1e-3}, "did you mean 'optim.lr'"),
        ({"optim.lr": 1.0}, "from 0.0001 to 0.01, log scale, but got 1.0"),
    ],
)
def test_a_first_trial_outside_the_space(base, point, message):
    with pytest.raises(ConfigError) as error:
        checked(base, first_trials=[point])
    assert message in str(error.value)


def test_a_point_that_a_person_adds_must_fit_images_and_network(base):
    def batches(trial):
        trial.suggest_int("train.batch_size", 2, 8, step=2)
        trial.suggest_categorical("data.policy", ["none", "light"])

    sweep = checked(base, batches)
    check_point(sweep, {"train.batch_size": 8, "data.policy": "light"}, num_workers=2)
    with pytest.raises(ConfigError, match=r"train\.batch_size"):
        check_point(sweep, {"train.batch_size": 16, "data.policy": "none"}, num_workers=1)
    with pytest.raises(ConfigError, match=r"train\.batch_size"):
        check_point(sweep, {"train.batch_size": 2}, num_workers=4)
    with pytest.raises(ConfigError, match="did you mean 'light'"):
        check_point(sweep, {"data.policy": "lihgt"}, num_workers=1)


def test_imagenet_that_cannot_be_fetched_is_refused_and_auto_says_so(base, silent_hub):
    with pytest.raises(ConfigError, match="imagenet"):
        checked(base.with_values({"model.encoder": "resnet18", "model.encoder_weights": "imagenet"}))
    said = []
    result = checked(base.with_values({"model.encoder": "resnet18", "model.encoder_weights": "auto"}), said=said)
    assert "scratch" in said[0]
    assert result.base.model.encoder_weights == "none"


def test_a_folder_of_weights_must_serve_every_encoder_that_the_space_draws(base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path.parent)
    (tmp_path / "test_resnet.safetensors").touch()
    base = base.with_values({"model.encoder_weights": tmp_path.name})
    with pytest.raises(ConfigError) as error:
        checked(base, choosing("model.encoder", "tu-test_resnet", "tu-test_efficientnet", "tu-test_byobnet"))
    assert f"'{tmp_path}', must hold a file named after each encoder" in str(error.value)
    assert "none for tu-test_byobnet, tu-test_efficientnet; it holds test_resnet.safetensors;" in str(error.value)


def test_trials_of_several_encoders_share_a_folder(tmp_path):
    from_folder = [
        ModelConfig(encoder=encoder, encoder_weights=str(tmp_path)) for encoder in ("tu-test_resnet", "tu-test_byobnet")
    ]
    for model in from_folder:
        scratch = build_model(model.model_copy(update={"encoder_weights": "none"}), num_classes=2)
        save_file(scratch.network.encoder.state_dict(), tmp_path / f"{model.encoder}.safetensors")
    # A family without a pretrained encoder needs no file.
    models = [*from_folder, ModelConfig(name="unet", encoder="resnet18", encoder_weights=str(tmp_path))]
    line = f"encoder weights: {tmp_path} for tu-test_byobnet, tu-test_resnet"
    assert parts.resolve_weights(models) == (str(tmp_path), line)


def of_three_families(trial):
    family = trial.suggest_categorical("model.name", ["smp", "fcn8s", "unet"])
    if family == "fcn8s":
        trial.suggest_categorical("model.fcn.output_stride", [8, 16])
        return {"model.encoder": "vgg16_bn", "model.fcn.head_width": 8}
    if family == "unet":
        trial.suggest_categorical("model.unet.width_multiplier", [0.25, 0.5])
    return {}


def test_families_are_searched_together(base):
    result = checked(base, of_three_families, [{"model.name": "unet"}])
    assert {"model.fcn.output_stride", "model.unet.width_multiplier"} < set(result.distributions)
    with pytest.raises(ConfigError, match=r"unknown model\.encoder of model\.name='fcn8s' 'tu-test_resnet'"):
        checked(base, choosing("model.name", "smp", "fcn8s"))


def test_a_family_without_encoder_does_not_put_the_others_on_scratch(base, monkeypatch):
    def fetched(model):
        return ("none", "unet has none") if model.name == "unet" else ("imagenet", f"ImageNet for {model.encoder}")

    monkeypatch.setattr(parts, "resolve_encoder_weights", fetched)
    result = checked(base, choosing("model.name", "smp", "unet"), [{"model.name": "unet"}])
    assert (result.base.model.encoder_weights, result.weights_line) == ("imagenet", "ImageNet for tu-test_resnet")
    assert checked(base, choosing("model.name", "unet")).base.model.encoder_weights == "none"


def test_searched_epochs_are_cut_to_the_budget(base):
    def epochs(trial):
        trial.suggest_int("train.epochs", 5, 60)

    assert describe(checked(base, epochs, max_epochs=12).distributions["train.epochs"]) == "whole number from 5 to 12"
    assert describe(checked(base, epochs, max_epochs=3).distributions["train.epochs"]) == "whole number from 3 to 3"
    assert checked(base, epochs).max_epochs == 60
    assert checked(base, epochs, [{"train.epochs": 40}], max_epochs=12).first_trials[0]["train.epochs"] == 12


def test_returned_epochs_are_cut_to_the_budget(base):
    def epochs(trial):
        return {"train.epochs": 60} if trial.suggest_categorical("train.batch_size", [4, 8]) == 8 else {}

    assert checked(base, epochs).max_epochs == 60
    result = checked(base, epochs, max_epochs=12)
    trial = optuna.trial.FixedTrial({"train.batch_size": 8})
    assert result.space(trial) == {"train.epochs": 12}
    assert result.base.train.epochs == 12, "of those trials whose epochs are not returned"


def test_epochs_that_are_not_searched_are_the_budget(base):
    assert checked(base, max_epochs=7).base.train.epochs == 7


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"trials": None}, ConfigError, "--trials or --minutes"),
        ({"trials": 0}, ConfigError, "at least 1, but got 0"),
        ({"minutes": -1.0}, ConfigError, "above 0, but got -1"),
        ({"epochs": 0}, ConfigError, "--epochs must be at least 1"),
        ({"seed": -1}, ConfigError, "--seed must be from 0 to 2147483647, but got -1"),
        ({"seed": 2**32}, ConfigError, "--seed must be from 0 to 2147483647, but got 4294967296"),
        ({"repeats": -1}, ConfigError, "--repeats must be 0 or more, but got -1"),
        ({"repeats": 2**32}, ConfigError, "--repeats must leave seeds up to 4294967295"),
        ({"confirm": -1}, ConfigError, "--confirm must be 0 or more, but got -1"),
        ({"grace_epochs": 0}, ConfigError, "--grace-epochs must be at least 1, but got 0"),
        ({"reduction_factor": 1.0}, ConfigError, "--reduction-factor must be above 1, but got 1"),
        ({"name": ""}, ConfigError, "--name must be a plain folder name: .* but got ''"),
        ({"name": "../s"}, ConfigError, "--name must be a plain folder name: .* but got '../s'"),
        ({"name": "a/b"}, ConfigError, "no '/', no leading"),
        ({"resume": True}, StorageError, "no sweep to resume"),
        ({"storage": "/proc/runs"}, StorageError, "cannot write"),
    ],
)
def test_a_sweep_that_cannot_work_writes_nothing(base, tmp_path, changes, error, message):
    values = {"name": "s", "base": base, "space": space, "trials": 1, "storage": f"{tmp_path}/runs", **changes}
    with pytest.raises(error, match=message):
        run_sweep(Sweep(**values))
    assert not (tmp_path / "runs").exists()


def test_files_that_are_not_used_are_told_before_anything_is_decoded(base, scenes, tmp_path):
    root = shutil.copytree(scenes, tmp_path / "scenes")
    folder = next(path for path in (root / "leftImg8bit/train").iterdir())
    for name in ("a.gif", "b.gif", "c.json"):
        (folder / name).touch()
    said = []
    checked(base.with_values({"data.root": str(root)}), said=said)
    line = "note: 3 files are not used: 2 .gif, 1 .json; segray data check lists them"
    assert said.index(line) < next(index for index, text in enumerate(said) if "decoding" in text)


def test_a_data_folder_that_is_missing_writes_nothing(base, tmp_path):
    missing = base.with_values({"data.root": str(tmp_path / "nowhere")})
    with pytest.raises(DataError, match="nowhere"):
        run_sweep(Sweep(name="s", base=missing, space=space, trials=1, storage=f"{tmp_path}/runs"))
    assert not (tmp_path / "runs").exists()


def test_a_taken_name_and_a_foreign_folder_are_refused(base, tmp_path):
    folder = tmp_path / "runs" / "s"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    sweep = Sweep(name="s", base=base, space=space, trials=1, storage=f"{tmp_path}/runs")
    with pytest.raises(StorageError, match="not a sweep's"):
        run_sweep(sweep)
    (folder / "sweep.json").write_text("{}")
    with pytest.raises(StorageError, match="continue it with --resume"):
        run_sweep(sweep)
    assert sorted(path.name for path in folder.iterdir()) == ["notes.txt", "sweep.json"]


@pytest.mark.ray
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cpus-per-worker", "10000"], "hold 0 such workers"),
        (["--gpus-per-worker", "1.5"], "whole number"),
        pytest.param(["--encoder-weights", "missing.safetensors"], "missing.safetensors", marks=pytest.mark.slow),
    ],
)
def test_the_command_line_says_it_in_one_error_with_exit_code_2(scenes, tmp_path, arguments, message):
    study = Path(__file__).parents[1] / "tiny_study.py"
    command = [sys.executable, str(study), "--data", str(scenes), "--storage", f"{tmp_path}/runs", *arguments]
    ended = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "SEGRAY_CACHE": f"{tmp_path}/cache"}, check=False
    )
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert ended.stderr.startswith("error: ")
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("key", "choices"),
    [
        ("data.dataset", ["cityscapes", "camvid"]),
        ("data.classes", ["", "all"]),
        ("data.split.fold", [0, 1]),
        ("data.split.seed", [0, 1]),
        ("data.holdout", [0.0, 0.2]),
        ("data.cityscapes.labels", ["fine", "coarse"]),
        ("data.pairs.labels", ["palette", "kmeans"]),
    ],
)
def test_trials_on_other_images_or_classes_are_refused(base, key, choices):
    with pytest.raises(ConfigError, match=rf"{key} cannot be searched: .* run a sweep for each value"):
        checked(base, choosing(key, *choices))


def test_trials_judged_on_labels_of_other_sizes_are_refused(base):
    def sizes(trial):
        side = trial.suggest_categorical("seed", [32, 64])
        return {"data.resize_px": [side, side]}

    with pytest.raises(ConfigError, match=r"data\.resize_px cannot be searched"):
        checked(base, sizes)


def test_a_space_may_return_what_the_base_says_of_the_images(base):
    assert checked(base, lambda trial: {"data.split.seed": base.data.split.seed}).max_epochs


def test_trials_that_are_judged_by_other_classes_are_refused():
    spaces = [SimpleNamespace(names=names) for names in (("road", "car"), ("car", "road"))]
    with pytest.raises(ConfigError, match=r"judged by the same classes.*\n  road, car\n  car, road"):
        training._check_same_classes([SimpleNamespace(scored_space=space) for space in spaces])


def test_the_number_of_clusters_can_be_searched_since_all_are_judged_by_the_palette_classes(base, tmp_path):
    write_scenes("cityscapes_pairs", tmp_path / "pairs", train=4, val=1, size_px=(64, 64))
    pairs = base.with_values(
        {"data.dataset": "cityscapes_pairs", "data.root": str(tmp_path / "pairs"), "data.pairs.labels": "kmeans"}
    )
    found = checked(pairs, choosing("data.pairs.num_clusters", 4, 12))
    assert found.data.scored_space.num_classes == 19
    assert found.data.label_space.num_classes != 19


def test_an_unknown_data_set_is_named_with_the_nearest(base):
    with pytest.raises(ConfigError, match="did you mean 'cityscapes'"):
        checked(base.with_values({"data.dataset": "cityscape"}))


def test_a_crop_that_would_be_mostly_padding(base):
    with pytest.raises(ConfigError, match=r"twice the largest training image, \[64, 64\].* but got \[129, 64\]"):
        checked(base.with_values({"data.crop_px": [129, 64]}))


def mistaken_float(trial):
    trial.suggest_float("optim.lr", 0.0, 1e-2, log=True)


def mistaken_int(trial):
    trial.suggest_int("train.epochs", 5, 2)


@pytest.mark.parametrize("mistaken", [mistaken_float, mistaken_int])
def test_a_mistake_in_a_space_names_its_line(base, mistaken):
    with pytest.raises(ConfigError, match=r"cannot be drawn: ValueError: .*test_preflight\.py, line \d+"):
        checked(base, mistaken)


def augmenting(*policies):
    def draw(trial):
        trial.suggest_categorical("data.policy", list(policies))
        trial.suggest_float("data.augment.zoom", 1.0, 2.0)

    return draw


def test_strengths_can_be_searched_where_a_trial_may_have_the_custom_policy(base):
    assert "data.augment.zoom" in checked(base, augmenting("light", "custom")).distributions


def test_searched_strengths_that_no_policy_uses_are_refused(base):
    with pytest.raises(ConfigError, match=r"data\.policy must be 'custom' in some trials where data\.augment\.zoom"):
        checked(base, augmenting("light", "strong"))


def adversarial(**values):
    named = {f"gan.{key}": value for key, value in values.items()}
    return {"model.name": "pix2pix", "model.generator.depth": 3, "model.generator.width": 4, **named}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            adversarial(discriminator="patchgan", receptive_field_px=70),
            r"gan\.receptive_field_px must be at most the smaller side.*64x64 px, but got 70; choose .*\(16\)",
        ),
        (
            adversarial(discriminator="semantic", receptive_field_px=16, loss="hinge", label_smoothing=0.1),
            r"gan\.label_smoothing must be 0 with gan\.loss hinge",
        ),
        ({"model.output": "rgb", "data.classes": "label_ids"}, r"tells classes apart by their colours.*polegroup"),
    ],
)
def test_a_gan_that_cannot_work_is_refused(base, values, message):
    with pytest.raises(ConfigError, match=message):
        checked(base.with_values(values))


def test_colours_of_a_data_set_without_its_own_are_refused(base, tmp_path):
    write_scenes("folder", tmp_path / "folder", train=4, val=2, size_px=(64, 64))
    values = {"data.dataset": "folder", "data.root": str(tmp_path / "folder"), **NEEDED_VALUES["folder"]}
    with pytest.raises(ConfigError, match=r"model\.output='rgb' needs a data set with a palette.*has none of its own"):
        checked(base.with_values({**values, "model.output": "rgb"}))


def test_a_gan_can_be_searched_beside_models_without_a_discriminator(base):
    def draw(trial):
        if trial.suggest_categorical("gan.discriminator", ["none", "patchgan"]) == "patchgan":
            trial.suggest_float("gan.adversarial_weight", 0.01, 1.0, log=True)

    found = checked(base.with_values(adversarial(receptive_field_px=16)), draw)
    assert set(found.distributions) == {"gan.discriminator", "gan.adversarial_weight"}


def test_a_search_of_a_discriminators_keys_without_one_is_refused(base):
    with pytest.raises(
        ConfigError,
        match=r"gan\.discriminator must name a discriminator.*gan\.adversarial_weight are searched, but it is none",
    ):
        checked(base, lambda trial: trial.suggest_float("gan.adversarial_weight", 0.01, 1.0) and None)


def test_a_search_of_a_discriminators_keys_that_its_weight_leaves_out_is_refused(base):
    base = base.with_values(adversarial(discriminator="patchgan", receptive_field_px=16, adversarial_weight=0))
    with pytest.raises(ConfigError, match=r"gan\.adversarial_weight must be above 0.*gan\.optim\.lr are searched"):
        checked(base, lambda trial: trial.suggest_float("gan.optim.lr", 1e-4, 1e-3) and None)
    checked(base, lambda trial: trial.suggest_float("gan.l1_weight", 1.0, 10.0) and None)


def test_a_search_of_clusters_where_labels_are_not_is_refused(base):
    with pytest.raises(
        ConfigError, match=r"pairs\.labels must be 'kmeans' .*num_clusters are searched, but it is palette"
    ):
        checked(base, lambda trial: trial.suggest_int("data.pairs.num_clusters", 8, 12) and None)


@pytest.mark.parametrize("returned", [{"loss.name": "dice"}, {}])
def test_a_searched_key_cannot_be_set_too(base, returned):
    def space(trial):
        trial.suggest_float("optim.lr", 1e-4, 1e-3)
        return returned

    for values in ({"optim.lr": 5e-4}, {"optim.lr": 1.0}):
        with pytest.raises(ConfigError, match=r"--set must leave alone.*names optim\.lr"):
            checked(base.with_values(values), space, fixed=["optim.lr", "train.batch_size"], recipe="carla_unet")
    if returned:
        with pytest.raises(ConfigError, match=r"names loss\.name"):
            checked(base, space, fixed=["loss.name"])


def test_a_search_of_losses_that_no_trial_minimises_is_refused(base):
    base = base.with_values(adversarial(discriminator="patchgan", receptive_field_px=16, segmentation_weight=0))
    with pytest.raises(ConfigError, match=r"gan\.segmentation_weight must be above 0.*loss\.focal_gamma are searched"):
        checked(base, lambda trial: trial.suggest_float("loss.focal_gamma", 0.0, 3.0) and None)
    checked(base, lambda trial: trial.suggest_float("optim.lr", 1e-4, 1e-3) and None)


@pytest.mark.parametrize(
    ("objective", "searched", "message"),
    [
        ("val_iou/rode", space, "unknown class in --objective 'rode'; did you mean 'road'"),
        ("val_iou/train", space, "needs a validation image with train, but none has it; choose one of road, "),
        ("val_loss", choosing("loss.name", "dice", "focal"), "cannot compare trials that differ in loss.name"),
        ("val_cluster_miou", space, "needs a model that is trained on K-Means clusters"),
    ],
)
def test_an_objective_that_trials_lack_or_cannot_be_compared_by_is_refused(base, objective, searched, message):
    with pytest.raises(ConfigError) as error:
        checked(base, searched, objectives=[objective])
    assert message in str(error.value)


@pytest.mark.parametrize("objective", ["val_loss", "val_iou/road", "val_pixel_accuracy", "val_mean_class_accuracy"])
def test_an_objective_that_all_trials_have_is_taken(base, objective):
    checked(base, objectives=[objective])


@pytest.mark.parametrize("objective", ["val_loss", "val_cluster_accuracy"])
def test_scores_on_clusters_cannot_be_compared_where_their_number_is_searched(base, tmp_path, objective):
    write_scenes("cityscapes_pairs", tmp_path / "pairs", train=4, val=2, size_px=(64, 64))
    values = {"data.dataset": "cityscapes_pairs", "data.root": str(tmp_path / "pairs"), "data.pairs.labels": "kmeans"}
    with pytest.raises(ConfigError, match=r"cannot compare trials that differ in data\.pairs\.num_clusters"):
        checked(base.with_values(values), choosing("data.pairs.num_clusters", 4, 6), objectives=[objective])
    checked(base.with_values({**values, "data.pairs.num_clusters": 4}), objectives=[objective])


def test_a_model_that_fits_into_no_gpu_is_refused_and_one_that_must_split_its_batch_is_named(base):
    def sizes(trial):
        trial.suggest_categorical("data.crop_px", [[64, 64], [96, 128]])
        trial.suggest_categorical("train.batch_size", [1, 4])

    needed = footprint(base, 19, (96, 128))
    said = []
    checked(base, sizes, said=said, memory={"gpu_bytes": needed.whole(4)})
    assert not [line for line in said if "GPU" in line]
    checked(base, sizes, said=said, memory={"gpu_bytes": needed.whole(4) - 1})
    assert [line for line in said if "whole batch of 1 combinations" in line and "on 96x128 px with 4 images" in line]
    with pytest.raises(
        ConfigError, match=r"model.arch='Unet' .* on 96x128 px needs at least 36.8 MB .* gradients 9.2 MB"
    ):
        checked(base, sizes, memory={"gpu_bytes": needed.least(1) - 1})


def test_a_planned_trial_comes_second_so_that_the_baseline_stays_and_a_resume_keeps_it(base):
    def batches(trial):
        trial.suggest_categorical("train.batch_size", [4, 2])
        trial.suggest_categorical("data.policy", ["none", "light"])

    given = [{"train.batch_size": 4, "data.policy": "light"}, {"train.batch_size": 4, "data.policy": "none"}]
    said, planned = [], {"train.batch_size": 2, "data.policy": "light"}
    found = checked(base, batches, given, said=said, first_trial="plan", memory={"worker_bytes": 10**9})
    assert list(found.first_trials) == [given[0], planned, given[1]]
    assert [line for line in said if line.startswith("planned trial: train.batch_size 2 (at least ")]

    sweep = Sweep(name="s", base=base, space=batches, first_trials=given, first_trial="plan", trials=3)
    resumed = as_begun(sweep, sweep_record(sweep, found, make_plan(Resources(), [{"CPU": 1.0}])))
    assert (list(resumed.first_trials), resumed.first_trial) == (list(found.first_trials), "given")
