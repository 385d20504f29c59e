"""Folders of images and labels as people have them: each is read, or one message says what to set."""

import shlex
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segray.config import RunConfig
from segray.data.cache.fingerprint import _listing
from segray.data.datasets import open_dataset
from segray.data.splits.split_record import check_splits, record_splits
from segray.data.tools.check import check
from segray.errors import ConfigError, DataError, SegrayError
from segray.tuning.options import parse_values

ROBOFLOW = [
    f"{split}/f{i}_jpg.rf.abc{end}" for split in ("train", "valid") for i in (0, 1) for end in (".jpg", "_mask.png")
]


@pytest.fixture
def write(tmp_path):
    """Writes small files, labels where the name tells, and returns a config of them."""

    def write(files, **values):
        rng = np.random.default_rng(0)
        for name in files:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif"):
                path.write_text("x")
                continue
            is_label = any(word in name.lower() for word in ("mask", "label", "class", "annot", "both"))
            is_label &= path.suffix != ".jpg" and path.suffix != ".jpeg"
            pixels = rng.integers(0, 2, (8, 8)) if is_label else rng.integers(0, 256, (8, 8, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(path)
        return changed(RunConfig().with_values({"data.dataset": "folder", "data.root": str(tmp_path)}).data, **values)

    return write


def changed(data, **values):
    base = RunConfig().model_copy(update={"data": data})
    return base.with_values(
        {f"data.folder.{key}": value for key, value in ({"classes": ["a", "b"]} | values).items()}
    ).data


def with_options(data, message):
    """The config with the options that a message ends in."""
    words = shlex.split(message[message.index("--set") :])
    values = parse_values(words[1::2], RunConfig().flat())
    return RunConfig().model_copy(update={"data": data}).with_values(values).data


def found(data):
    dataset = open_dataset(data)
    return sorted(pair.name for pair in dataset.pairs()), sorted((file.path.name, file.why) for file in dataset.unused)


def both(images, labels, *names):
    return [f"{folder}/{name}" for name in names for folder in (images, labels)]


LAYOUTS = {
    "Roboflow": (
        [*ROBOFLOW, "train/_classes.csv", "valid/_classes.csv"],
        {"images": "{split}", "labels": "{split}", "label_suffix": "_mask"},
        ["train/f0_jpg.rf.abc", "train/f1_jpg.rf.abc", "val/f0_jpg.rf.abc", "val/f1_jpg.rf.abc"],
        [("_classes.csv", ".csv")] * 2,
    ),
    "Roboflow, one split": (
        ROBOFLOW[:4],
        {"images": "train", "labels": "train", "label_suffix": "_mask"},
        ["f0_jpg.rf.abc", "f1_jpg.rf.abc"],
        [],
    ),
    "DeepGlobe": (
        ["train/1_sat.jpg", "train/1_mask.png", "train/22_sat.jpg", "train/22_mask.png"],
        {"images": "train", "labels": "train", "image_suffix": "_sat", "label_suffix": "_mask"},
        ["1", "22"],
        [],
    ),
    "PNG masks beside JPEG photos of the same name": (
        ["both/a.jpg", "both/b.jpeg", "both/a.png", "both/b.png", "both/a.json"],
        {"images": "both", "labels": "both"},
        ["a", "b"],
        [("a.json", ".json")],
    ),
    "Supervisely": (
        ["ds/img/a.jpg", "ds/img/b.jpg", "ds/masks_machine/a.png", "ds/masks_machine/b.png", "ds/ann/a.jpg.json"],
        {"images": "ds/img", "labels": "ds/masks_machine"},
        ["a", "b"],
        [],
    ),
    "labels named by the whole file": (
        ["img/a.jpg", "img/b.jpg", "masks/a.jpg.png", "masks/b.jpg.png"],
        {"images": "img", "labels": "masks", "label_suffix": ".jpg"},
        ["a", "b"],
        [],
    ),
    "CVAT and labelme, as VOC": (
        ["JPEGImages/a.jpg", "SegmentationClass/a.png", "SegmentationClass/b.png", "JPEGImages/b.jpg", "labelmap.txt"],
        {"images": "JPEGImages", "labels": "SegmentationClass"},
        ["a", "b"],
        [],
    ),
    "ADE20K": (
        [
            f"{kind}/{split}/1.{end}"
            for kind, end in (("images", "jpg"), ("annotations", "png"))
            for split in ("training", "validation")
        ],
        {"images": "images/{split}", "labels": "annotations/{split}"},
        ["train/1", "val/1"],
        [],
    ),
    "Mapillary": (
        [
            f"{split}/{kind}/1.{end}"
            for kind, end in (("images", "jpg"), ("labels", "png"))
            for split in ("training", "validation", "testing")
        ],
        {"images": "{split}/images", "labels": "{split}/labels"},
        ["test/1", "train/1", "val/1"],
        [],
    ),
    "folders with a capital": (
        both("Images", "Labels", "Train/1.png", "Val/2.png"),
        {"images": "Images/{split}", "labels": "Labels/{split}"},
        ["train/1", "val/2"],
        [],
    ),
    "a folder for each city": (
        [*both("images", "labels", "aachen/1.png", "bremen/1.png", "2.png"), "images/ulm/3.png", "labels/old/4.png"],
        {"images": "images", "labels": "labels"},
        ["2", "aachen/1", "bremen/1"],
        [("3.png", "in sub-folders without labels"), ("4.png", "in sub-folders without images")],
    ),
    "cities, divided, beside each other": (
        ["train/ulm/1.jpg", "train/ulm/1_mask.png", "val/bonn/1.jpg", "val/bonn/1_mask.png"],
        {"images": "{split}", "labels": "{split}", "label_suffix": "_mask"},
        ["train/ulm/1", "val/bonn/1"],
        [],
    ),
    "masks inside the folder of images": (
        ["1.jpg", "2.jpg", "masks/1.png", "masks/2.png", "results/1.png"],
        {"images": ".", "labels": "masks"},
        ["1", "2"],
        [("1.png", "in sub-folders without labels")],
    ),
    "many formats, small and capital letters": (
        [
            *(f"images/{name}" for name in ("a.tif", "b.BMP", "c.webp", "d.Tiff", "e.JPEG", "f.PNG")),
            *(f"labels/{name}" for name in ("a.tif", "b.bmp", "c.PNG", "d.TIFF", "e.png", "f.png")),
            *("images/g.gif", "images/clip.mp4", "images/LICENSE", "labels/a.jpg", "labels/a.json"),
        ],
        {"images": "images", "labels": "labels"},
        ["a", "b", "c", "d", "e", "f"],
        [
            ("LICENSE", "without an extension"),
            ("a.jpg", ".jpg among labels"),
            ("a.json", ".json"),
            ("clip.mp4", ".mp4"),
            ("g.gif", ".gif"),
        ],
    ),
    "hidden folders and what file managers leave": (
        [
            *both("images", "labels", "1.png", "2.png", ".ipynb_checkpoints/1-checkpoint.png"),
            *("images/._1.png", "images/.DS_Store", "images/__MACOSX/1.png"),
            *("labels/Thumbs.db", "labels/desktop.ini"),
        ],
        {"images": "images", "labels": "labels"},
        ["1", "2"],
        [("1-checkpoint.png", "in hidden folders")] * 2,
    ),
    "folders of no split, and a test split without labels": (
        [*both("images", "labels", "train/1.png", "val/2.png", "extra/3.png"), "images/test/4.png", "images/5.png"],
        {},
        ["train/1", "val/2"],
        [("3.png", "in folders of no split")] * 2 + [("5.png", "beside the folders of the splits")],
    ),
}


@pytest.mark.parametrize(("files", "values", "names", "unused"), LAYOUTS.values(), ids=LAYOUTS)
def test_every_image_is_read_and_every_other_file_is_counted(write, files, values, names, unused):
    assert found(write(files, **values)) == (names, sorted(unused))


@pytest.mark.parametrize(("files", "values", "names", "unused"), LAYOUTS.values(), ids=LAYOUTS)
def test_photos_are_photos_and_labels_are_labels(write, files, values, names, unused):
    dataset = open_dataset(write(files, **values))
    for pair in dataset.pairs():
        with Image.open(pair.photo) as photo, Image.open(pair.label) as label:
            assert (photo.mode, label.mode) == ("RGB", "L")


def test_photos_of_a_test_split_without_labels_are_unlabelled(write, tmp_path):
    files, values, _, _ = LAYOUTS["folders of no split, and a test split without labels"]
    assert open_dataset(write(files, **values)).unlabelled == [tmp_path / "images/test/4.png"]
    robo = write([*ROBOFLOW, "test/f9.jpg"], images="{split}", labels="{split}", label_suffix="_mask")
    assert open_dataset(robo).unlabelled == [tmp_path / "test/f9.jpg"]


def test_the_check_lists_what_is_not_used(write, tmp_path):
    files, values, _, _ = LAYOUTS["a folder for each city"]
    notes = check(write([*files, *(f"images/{i:02d}.gif" for i in range(25))], **values)).notes
    assert any(
        note.startswith(f"25 files are not used (.gif) in {tmp_path}/images: 00.gif, 01.gif,")
        and note.endswith("19.gif and 5 more")
        for note in notes
    )
    assert f"1 file is not used (in sub-folders without labels) in {tmp_path}/images/ulm: 3.png" in notes


def test_training_is_told_in_one_line(write):
    files, values, _, _ = LAYOUTS["a folder for each city"]
    dataset = open_dataset(write([*files, "images/a.gif", "images/b.gif"], **values))
    assert dataset.notes_in_short() == [
        "4 files are not used: 2 .gif, 1 in sub-folders without labels, 1 in sub-folders without images; segray data "
        "check lists them"
    ]


MENDED = {
    "photo and mask in the split's folder": (
        ROBOFLOW,
        {"images": "{split}", "labels": "{split}"},
        "label_suffix=_mask",
    ),
    "photo and mask in one folder": (ROBOFLOW[:4], {"images": "train", "labels": "train"}, "label_suffix=_mask"),
    "all of them PNG": (
        ["all/1.png", "all/1_mask.png", "all/10.png", "all/10_mask.png", "all/11.png", "all/11_mask.png"],
        {"images": "all", "labels": "all"},
        "label_suffix=_mask",
    ),
    "a suffix in another folder": (
        ["images/a.jpg", "images/b.jpg", "masks/a_labelIds.png", "masks/b_labelIds.png"],
        {"images": "images", "labels": "masks"},
        "label_suffix=_labelIds",
    ),
    "labels named by the whole file": (
        ["img/a.jpg", "img/b.jpg", "masks/a.jpg.png", "masks/b.jpg.png"],
        {"images": "img", "labels": "masks"},
        "label_suffix=.jpg",
    ),
    "a suffix of both": (
        ["train/1_sat.jpg", "train/1_mask.png", "train/12_sat.jpg", "train/12_mask.png"],
        {"images": "train", "labels": "train"},
        "image_suffix=_sat --set data.folder.label_suffix=_mask",
    ),
    "Cityscapes' own names": (
        [
            *(f"images/ulm/ulm_{i}_leftImg8bit.png" for i in (1, 2)),
            *(f"labels/ulm/ulm_{i}_gtFine_labelIds.png" for i in (1, 2)),
        ],
        {"images": "images", "labels": "labels"},
        "image_suffix=_leftImg8bit --set data.folder.label_suffix=_gtFine_labelIds",
    ),
    "a suffix of images": (
        ["images/a_rgb.png", "images/b_rgb.png", "labels/a.png", "labels/b.png"],
        {"images": "images", "labels": "labels"},
        "image_suffix=_rgb",
    ),
    "no folders of splits": (both("images", "labels", "1.png", "2.png"), {}, "images=images"),
}


@pytest.mark.parametrize(("files", "values", "option"), MENDED.values(), ids=MENDED)
def test_a_message_says_what_to_set_and_that_reads_all(write, files, values, option):
    data = write(files, **values)
    with pytest.raises(DataError) as caught:
        open_dataset(data)
    assert option in str(caught.value)
    names, unused = found(with_options(data, str(caught.value)))
    assert (2 * len(names), unused) == (len(files), [])
    assert list(check(data).problems) == [str(caught.value)]


REFUSED = {
    "two folders of one split": (
        both("images", "labels", "train/1.png", "val/2.png", "valid/3.png"),
        {},
        r"the val split must have one folder, but has '.*/images/val' and '.*/images/valid'; merge them",
    ),
    "no folder of a split": (
        both("images", "labels", "train/1.png"),
        {},
        r"images/val' does not exist, nor does one named valid or validation",
    ),
    "no labels but outlines": (
        ["images/a.jpg", "labels/a.json", "labels/b.json"],
        {"images": "images", "labels": "labels"},
        r"labels' holds no labels, which end in \.bmp, \.png, \.tif, \.tiff, \.webp, but 2 \.json",
    ),
    "no label of that name": (
        ["images/a.jpg", "images/b.jpg", "labels/x.png", "labels/y.png"],
        {"images": "images", "labels": "labels"},
        r"no label in '.*labels' has the name of an image in '.*images': .* there are a.jpg, b.jpg, x.png, y.png",
    ),
    "one folder of photos alone": (
        ["all/a.jpg", "all/b.jpg"],
        {"images": "all", "labels": "all"},
        r"holds images and labels, so their names must tell which is which.*such as _mask for a_mask.png beside a.jpg",
    ),
    "a mask in JPEG": (
        ["all/a.jpg", "all/a_mask.jpg", "all/b.jpg", "all/b_mask.jpg"],
        {"images": "all", "labels": "all", "label_suffix": "_mask"},
        r"holds no labels, .* but 2 \.jpg among labels",
    ),
    "a suffix that is not there": (
        ["all/a.jpg", "all/a_mask.png", "all/b.jpg", "all/b_mask.png"],
        {"images": "all", "labels": "all", "label_suffix": "_gt"},
        r"so set: --set data\.folder\.label_suffix=_mask_gt|label_suffix=_mask",
    ),
    "one suffix for both": (
        ["all/a_x.jpg", "all/a_x.png"],
        {"images": "all", "labels": "all", "label_suffix": "_x", "image_suffix": "_x"},
        r"image_suffix and data\.folder\.label_suffix must differ",
    ),
    "one stem in two formats": (
        [*both("images", "labels", "a.png"), "images/a.tif"],
        {"images": "images", "labels": "labels"},
        r"a\.png and a\.tif",
    ),
}


@pytest.mark.parametrize(("files", "values", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_said(write, files, values, message):
    data = write(files, **values)
    with pytest.raises((DataError, ConfigError), match=f"(?s){message}"):
        open_dataset(data)


def test_a_link_under_the_second_name_of_a_split_is_no_second_folder(write, tmp_path):
    data = write(both("images", "labels", "train/1.png", "val/2.png"))
    for kind in ("images", "labels"):
        (tmp_path / kind / "valid").symlink_to("val")
    assert found(data)[0] == ["train/1", "val/2"]


def test_links_among_folders_are_followed_once(write, tmp_path):
    data = write(
        [*both("images", "labels", "1.png"), "elsewhere/images/2.png", "elsewhere/labels/2.png"],
        images="images",
        labels="labels",
    )
    for kind in ("images", "labels"):
        (tmp_path / kind / "ulm").symlink_to(tmp_path / "elsewhere" / kind)
        (tmp_path / kind / "loop").symlink_to(tmp_path / kind)
    assert found(data) == (["1", "ulm/2"], [])


def test_a_photo_without_a_label_in_a_city_that_has_labels_is_a_problem(write):
    data = write([*both("images", "labels", "ulm/1.png"), "images/ulm/2.webp"], images="images", labels="labels")
    with pytest.raises(DataError, match=r"(?s)1 images without a label:.*images/ulm/2\.webp"):
        open_dataset(data)


def test_a_label_that_another_format_hides_is_named_beside_its_photo(write):
    files = [*both("images", "labels", "1.png"), "images/2.png", "labels/2.gif"]
    problems = check(write(files, images="images", labels="labels")).problems
    assert any(
        problem.endswith("images/2.png: has no label; 2.gif is there, but is not used (.gif)") for problem in problems
    )


def test_composed_and_decomposed_names_match_and_go_by_the_composed_one(write):
    words = ["straße_münchen_1", "café/são_paulo_3", "zürich_4"]
    files = [
        f"{folder}/{unicodedata.normalize(form, word)}.png"
        for word in words
        for folder, form in (("images", "NFD"), ("labels", "NFC"))
    ]
    data = write(files, images="images", labels="labels")
    assert found(data) == (sorted(unicodedata.normalize("NFC", word) for word in words), [])
    left_out = data.model_copy(update={"exclude": (unicodedata.normalize("NFD", "zürich_4"),)})
    assert "zürich_4" not in found(left_out)[0]


def test_folders_are_found_in_either_form_of_their_names(write, tmp_path):
    stored, typed = (unicodedata.normalize(form, "Zürich") for form in ("NFD", "NFC"))
    files = both(f"{stored}/{stored}/train", f"{stored}/labels/train", "1.png")
    files += both(f"{stored}/{stored}/val", f"{stored}/labels/val", "2.png")
    data = write(files, images=f"{typed}/{{split}}")
    assert found(data.model_copy(update={"root": f"{tmp_path}/{typed}"}))[0] == ["train/1", "val/2"]


def test_two_names_that_are_one_when_composed_are_refused(write):
    files = [f"images/{unicodedata.normalize(form, 'café')}.png" for form in ("NFC", "NFD")]
    data = write([*files, "labels/café.png"], images="images", labels="labels")
    with pytest.raises(DataError, match=r"occur twice(?s:.*)the same letters in two Unicode forms"):
        open_dataset(data)


def test_a_record_with_decomposed_names_still_fits(write):
    data = write(both("images", "labels", "train/é1.png", "train/é2.png", "val/é3.png"))
    record = record_splits(data)
    earlier = record.model_copy(
        update={
            split: {unicodedata.normalize("NFD", name): size for name, size in getattr(record, split).items()}
            for split in ("train", "val")
        }
    )
    assert earlier != record
    _listing.cache_clear()
    check_splits(earlier, data)


def test_braces_that_yaml_takes_for_a_mapping_are_a_split(write):
    data = write(ROBOFLOW)
    given = parse_values(
        ["data.folder.images={split}", "data.folder.labels={split}", "data.folder.label_suffix=_mask"],
        RunConfig().flat(),
    )
    assert found(RunConfig().model_copy(update={"data": data}).with_values(given).data)[0][0] == "train/f0_jpg.rf.abc"
    with pytest.raises(SegrayError, match=r"data\.folder\.images"):
        changed(data, images={"half": None})


MOVING = {"two.tif": {}, "moving.webp": {"lossless": True}, "moving.png": {}, "gif.png": {"format": "GIF"}}


@pytest.mark.parametrize("part", ["photo", "label"])
@pytest.mark.parametrize(("name", "options"), MOVING.items(), ids=MOVING)
def test_a_file_of_several_pictures_is_refused(write, tmp_path, part, name, options):
    data = write(both("images", "labels", "1.png", "2.png"), images="images", labels="labels")
    path = getattr(open_dataset(data).pairs()[0], part)
    path.unlink()
    pictures = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (0, 1)]
    moved = path.with_suffix(Path(name).suffix)
    pictures[0].save(moved, save_all=True, append_images=pictures[1:], **options)
    (problem,) = check(data).problems
    assert problem.startswith(f"{moved}: a file must hold one picture, but this ")


def test_a_photo_of_a_phone_with_a_preview_behind_it_is_read(write, tmp_path):
    data = write(both("images", "labels", "1.png", "2.png"), images="images", labels="labels")
    (tmp_path / "images/1.png").unlink()
    photo = Image.new("RGB", (8, 8), (200, 10, 10))
    photo.save(tmp_path / "images/1.jpg", format="MPO", save_all=True, append_images=[Image.new("RGB", (4, 4))])
    assert check(data).problems == []
