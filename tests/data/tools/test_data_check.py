import json
import shutil

import numpy as np
import pytest
from PIL import Image

from segray.cli.check_table import print_report
from segray.config import RunConfig
from segray.data.preparation import prepare
from segray.data.synthetic import NEEDED_VALUES, WRITERS, write_scenes
from segray.data.tools.check import check
from segray.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Data set -> its drawn scenes, which no test may change."""
    roots = {}

    def draw(name):
        if name not in roots:
            roots[name] = tmp_path_factory.mktemp("drawn") / name
            write_scenes(name, roots[name], train=6, val=2, test=1, size_px=(32, 64))
        return roots[name]

    return draw


@pytest.fixture
def root(drawn, tmp_path):
    """A copy of drawn CamVid scenes."""
    return shutil.copytree(drawn("camvid"), tmp_path / "camvid")


def config(name, root, **changes):
    values = {"data.dataset": name, "data.root": str(root), **NEEDED_VALUES.get(name, {}), **changes}
    return RunConfig().with_values(values).data


def files(folder):
    return sorted(folder.iterdir())


@pytest.mark.parametrize("name", WRITERS)
def test_drawn_scenes_are_clean(drawn, name):
    report = check(config(name, drawn(name)))
    assert not report.problems
    assert sum(report.splits.values()) == sum(count for _, count in report.sizes) >= 8
    assert all(count.pixels for count in report.classes if count.images)


def test_pixels_of_all_classes_and_void_are_counted(root):
    labels = [
        np.asarray(Image.open(path)) for split in ("train", "val", "test") for path in files(root / f"{split}annot")
    ]
    report = check(config("camvid", root))
    for class_id, count in enumerate(report.classes):
        assert count.pixels == sum((label == class_id).sum() for label in labels)
        assert count.images == sum((label == class_id).any() for label in labels)
    assert report.num_pixels == sum(label.size for label in labels)
    assert report.void.pixels == sum((label == 11).sum() for label in labels)


def test_every_damaged_file_is_named(root):
    photos, labels = files(root / "train"), files(root / "trainannot")
    photos[0].write_bytes(photos[0].read_bytes()[:-100])
    photos[1].write_bytes(b"")
    labels[2].write_bytes(labels[2].read_bytes()[:40])
    Image.fromarray(np.full((32, 64), 99, np.uint8)).save(labels[3])
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(labels[4])
    problems = check(config("camvid", root)).problems
    assert len(problems) == 5
    for path, problem in zip([photos[0], photos[1], labels[2], labels[3], labels[4]], problems, strict=True):
        assert problem.startswith(str(path))


def test_all_files_without_a_partner_are_listed(root):
    for path in files(root / "trainannot"):
        path.rename(path.with_stem(f"other_{path.stem}"))
    problems = check(config("camvid", root)).problems
    assert len(problems) == 12
    assert sum("has no label" in problem for problem in problems) == 6


def test_a_photo_in_two_splits_is_a_problem(root):
    first, second = files(root / "train")[0], files(root / "val")[0]
    shutil.copy(first, second)
    assert check(config("camvid", root)).problems == [f"the same photo: {first} (train), {second} (val)"]


def test_a_photo_twice_in_one_split_is_a_note(root):
    first, second = files(root / "train")[:2]
    # The same pixels in another file.
    Image.open(first).save(second, compress_level=0)
    report = check(config("camvid", root))
    assert not report.problems
    assert f"the same photo: {first} (train), {second} (train)" in report.notes


def test_a_photo_twice_is_a_note_where_one_is_unused(root):
    first, second = files(root / "train")[0], files(root / "val")[0]
    shutil.copy(first, second)
    changes = {"data.split.kind": "ratio", "data.split.sizes": [1, 1, 0]}
    report = check(config("camvid", root, **changes))
    assert report.splits == {"train": 1, "val": 1, "unused": 7}
    assert not report.problems
    assert any("the same photo" in note for note in report.notes)


def test_images_that_cannot_be_divided_are_decoded_all_the_same(drawn):
    report = check(config("camvid", drawn("camvid"), **{"data.split.kind": "ratio", "data.split.sizes": [9, 0, 0]}))
    assert "the validation split of camvid must have an image" in report.problems[0]
    assert report.splits == {"unused": 9}
    assert report.num_pixels == 9 * 32 * 64


def test_a_label_that_is_all_void_is_named(root):
    label = files(root / "valannot")[0]
    Image.fromarray(np.full((32, 64), 11, np.uint8)).save(label)
    (problem,) = check(config("camvid", root)).problems
    assert problem.startswith(f"{label}: every pixel of the label is void")


def test_classes_that_never_occur_or_not_in_training_are_notes(root):
    for path in files(root / "trainannot"):
        label = np.array(Image.open(path))
        label[label == 0] = 1
        Image.fromarray(label).save(path)
    never, untrained, unvalidated = check(config("camvid", root)).notes
    assert never.endswith("classes never occur: Fence, Bicyclist")
    assert untrained == "no training image has: Sky"
    assert unvalidated == "no validation image has: Fence, Bicyclist; mIoU is the mean over the other 9 classes"


def test_classes_that_validation_lacks_are_those_that_predictions_are_judged_by(drawn):
    labels = {"data.pairs.labels": "kmeans", "data.pairs.num_clusters": 4}
    report = check(config("cityscapes_pairs", drawn("cityscapes_pairs"), **labels))
    assert len(report.classes) == 4
    (note,) = [note for note in report.notes if note.startswith("no validation image has: ")]
    names = note.removeprefix("no validation image has: ").split("; ")[0].split(", ")
    data = prepare(config("cityscapes_pairs", drawn("cityscapes_pairs"), **labels), lambda line: None)
    assert {*names} == {*data.scored_space.names} - {*data.val_classes}
    assert note.endswith(f"mIoU is the mean over the other {19 - len(names)} classes")


def test_a_data_set_whose_validation_holds_every_class_has_no_note_on_the_mean(drawn):
    report = check(config("kitti_road", drawn("kitti_road")))
    assert not any("mIoU" in note for note in report.notes)


@pytest.mark.parametrize("classes", ["train_ids", "label_ids", "categories"])
def test_training_ids_in_place_of_label_ids_are_a_problem(drawn, tmp_path, classes):
    from segray.data.synthetic.folder import TRAIN_IDS

    root = shutil.copytree(drawn("cityscapes"), tmp_path / "cityscapes")
    for path in root.glob("gtFine/*/*/*_labelIds.png"):
        ids = TRAIN_IDS[np.asarray(Image.open(path))]
        Image.fromarray(np.where(ids == 255, 0, ids)).save(path)
    problems = check(config("cityscapes", root, **{"data.classes": classes})).problems
    assert any("may hold training ids" in problem for problem in problems)


def test_a_missing_folder_cannot_be_checked(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        check(config("camvid", tmp_path / "nothing"))


def test_an_unknown_data_set_cannot_be_checked(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'camvid'"):
        check(config("camvit", tmp_path))


def test_progress_counts_every_file(root):
    told = []
    check(config("camvid", root), lambda done, total: told.append((done, total)))
    assert told == [(done, 9) for done in range(1, 10)]


def test_json_holds_the_whole_report(root, capsys):
    files(root / "train")[0].write_bytes(b"")
    print_report(check(config("camvid", root)), as_json=True)
    report = json.loads(capsys.readouterr().out)
    assert not report["ok"]
    assert report["problems"] == [f"{files(root / 'train')[0]}: the file is empty"]
    assert report["sizes"] == [[[32, 64], 8]]
    assert report["classes"][3]["name"] == "Road"


def test_text_lists_every_problem_on_a_line_of_its_own(root, capsys):
    for path in files(root / "train"):
        path.write_bytes(b"")
    print_report(check(config("camvid", root)))
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("problem: ")] == [
        f"problem: {path}: the file is empty" for path in files(root / "train")
    ]
    assert lines[-1] == "6 problems; 3 of 9 images decoded"


def test_an_image_in_two_splits_is_a_problem(tmp_path):
    write_scenes("cityscapes", tmp_path / "data", train=3, val=2, size_px=(32, 48))
    for kind in ("leftImg8bit", "gtFine"):
        shutil.copytree(tmp_path / "data" / kind / "val", tmp_path / "data" / kind / "train", dirs_exist_ok=True)
    report = check(RunConfig().with_values({"data.root": str(tmp_path / "data")}).data)
    assert len(report.problems) == 2
    assert all("/val/" in problem and "/train/" in problem for problem in report.problems)


def test_missing_partners_do_not_keep_the_rest_from_being_checked(tmp_path):
    root = tmp_path / "data"
    write_scenes("cityscapes", root, train=5, val=3, size_px=(32, 48))
    labels = {split: sorted((root / "gtFine" / split).rglob("*_labelIds.png")) for split in ("train", "val")}
    photos = sorted((root / "leftImg8bit/train").rglob("*.png"))
    labels["train"][0].unlink()
    labels["val"][0].unlink()
    photos[1].unlink()
    photos[2].write_bytes(b"")
    report = check(RunConfig().with_values({"data.root": str(root)}).data)
    assert len(report.problems) == 4
    assert sum("has no label" in problem for problem in report.problems) == 2
    assert sum("has no image" in problem for problem in report.problems) == 1
    assert f"{photos[2]}: the file is empty" in report.problems
    assert sum(count for _, count in report.sizes) == 4


def test_a_truth_that_a_build_would_refuse_is_a_problem(tmp_path):
    root = tmp_path / "data"
    write_scenes("cityscapes_pairs", root, train=6, val=2, size_px=(64, 64))
    path = sorted((root / "train").iterdir())[0]
    with Image.open(path) as pair:
        swapped = np.roll(np.asarray(pair), 64, axis=1)
    values = {"data.dataset": "cityscapes_pairs", "data.root": str(root), "data.pairs.labels": "kmeans"}
    config = RunConfig().with_values(values | {"data.pairs.num_clusters": 3}).data
    assert check(config).problems == []
    Image.fromarray(swapped).save(path, quality=95)
    assert [str(path) in problem for problem in check(config).problems] == [True]


def test_what_the_check_complains_of_can_be_excluded(tmp_path):
    root = tmp_path / "data"
    write_scenes("cityscapes", root, train=5, val=3, test=2, size_px=(32, 48))
    label = sorted((root / "gtFine/train").rglob("*_labelIds.png"))[0]
    photo = sorted((root / "leftImg8bit/test").rglob("*.png"))[0]
    label.unlink()
    photo.write_bytes(b"")
    names = [label.name.removesuffix("_gtFine_labelIds.png"), photo.stem]
    config = RunConfig().with_values({"data.root": str(root)})
    assert len(check(config.data).problems) == 2
    assert check(config.with_values({"data.exclude": names}).data).problems == []
