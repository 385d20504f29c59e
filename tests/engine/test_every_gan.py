"""Every model as a generator against every discriminator: one batch of each kind, resuming, and two ranks."""

from functools import partial
from itertools import cycle, product
from typing import get_args

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from every_model import CONFIGS, ONE_OF_EACH, name_of
from tiny_run import (
    CPU,
    LABEL_SPACE,
    gan_config,
    gan_step,
    register,
    start,
    tiny_state,
    trained_and_resumed,
    without_timing,
)

from segray.config import GanConfig
from segray.data.batches.loaders import Batch
from segray.engine.state import build_state
from segray.folder import open_folder
from segray.labels import IGNORE_INDEX
from segray.losses.adversarial import ADVERSARIAL_LOSSES
from segray.models import MODELS
from segray.models.discriminators import WIDTH_FACTORS

SIDES_PX = {16: (33, 47), 70: (75, 91), 286: (288, 301)}
"""Receptive field -> sides of an image that its patches fit into."""

KINDS = [kind for kind in get_args(GanConfig.model_fields["discriminator"].annotation) if kind != "none"]
NORMS = get_args(GanConfig.model_fields["norm"].annotation)
DISCRIMINATORS = [
    {"gan__discriminator": kind, "gan__receptive_field_px": field_px, "gan__loss": loss}
    for kind, field_px, loss in product(KINDS, WIDTH_FACTORS, ADVERSARIAL_LOSSES)
]


def against(model, **options):
    """Return the config of a run that trains the model against a small discriminator."""
    options = {"train__epochs": 2, "optim__lr": 1e-3, "gan__optim__lr": 1e-3, **options}
    return gan_config(**options).model_copy(update={"model": model})


def batch(count, size_px, labels=None):
    draw = torch.Generator().manual_seed(5)
    photos = torch.randint(0, 256, (count, 3, *size_px), dtype=torch.uint8, generator=draw)
    if labels is None:
        labels_BHW = torch.randint(0, 3, (count, *size_px), dtype=torch.uint8, generator=draw)
    else:
        labels_BHW = torch.full((count, *size_px), labels, dtype=torch.uint8)
    return Batch(photos, labels_BHW, list(range(count)))


def learnt(config, given):
    """Train one batch; return the step's means and how many parameters of model and discriminator changed.

    Asserts that all means and parameters are finite.
    """
    state = build_state(config, LABEL_SPACE, 1, CPU)
    modules = (state.network, state.adversary.discriminator)
    before = [[parameter.detach().clone() for parameter in module.parameters()] for module in modules]
    means = gan_step(config)(state, given)
    assert all(value.isfinite() for value in means.values())
    changed = []
    for module, earlier in zip(modules, before, strict=True):
        assert all(parameter.isfinite().all() for parameter in module.parameters())
        changed.append(sum(not torch.equal(*pair) for pair in zip(module.parameters(), earlier, strict=True)))
    return means, changed


def test_every_family_is_tested():
    assert {config.name for config in ONE_OF_EACH} == set(CONFIGS) == set(MODELS) - {"tiny"}


@pytest.mark.parametrize("model", ONE_OF_EACH, ids=name_of)
@pytest.mark.parametrize(
    ("count", "labels"), [(1, None), (2, IGNORE_INDEX), (2, 1)], ids=["one image", "all void", "one class"]
)
def test_any_batch_of_an_odd_size_is_learnt_from(model, count, labels):
    means, changed = learnt(against(model), batch(count, SIDES_PX[16], labels))
    assert set(means) == {"train_loss", "train_discriminator_loss", "train_real_accuracy", "train_fake_accuracy"}
    if labels != IGNORE_INDEX:
        assert min(changed) > 0


@pytest.mark.parametrize("options", DISCRIMINATORS, ids=lambda options: "-".join(map(str, options.values())))
def test_every_discriminator_and_loss_teaches_both(options):
    field_px = options["gan__receptive_field_px"]
    model = CONFIGS["pix2pix"][1]
    means, changed = learnt(against(model, **options), batch(1, SIDES_PX[field_px]))
    assert min(changed) > 0
    assert means["train_discriminator_loss"] > 0


@pytest.mark.parametrize("model", ONE_OF_EACH, ids=name_of)
def test_resumed_equals_uninterrupted_to_the_last_bit(model, tmp_path):
    config = against(model)
    (unbroken, records), (resumed, later) = trained_and_resumed(
        config, open_folder(tmp_path / "checkpoint"), after=1, make_step=partial(gan_step, config)
    )
    assert later == records[1:]
    for own, other in ((unbroken.network, resumed.network), (unbroken.adversary, resumed.adversary)):
        assert_same(own.state_dict(), other.state_dict())


def assert_same(own, other):
    """Assert that two trees of tensors and plain values are equal."""
    assert type(own) is type(other)
    if isinstance(own, torch.Tensor):
        assert torch.equal(own, other)
    elif isinstance(own, dict):
        assert own.keys() == other.keys()
        for key in own:
            assert_same(own[key], other[key])
    elif isinstance(own, list | tuple):
        for pair in zip(own, other, strict=True):
            assert_same(*pair)
    else:
        assert own == other


def train_on_two(rank, folder):
    register()
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    found = {}
    for model, (kind, norm), loss in zip(
        ONE_OF_EACH, cycle(product(KINDS, NORMS)), cycle(ADVERSARIAL_LOSSES), strict=False
    ):
        config = against(model, gan__loss=loss, gan__discriminator=kind, gan__norm=norm)
        state = tiny_state(config)
        records = without_timing(start(state, step=gan_step(config), rank=rank, world_size=2))
        parameters = [*state.network.parameters(), *state.adversary.discriminator.parameters()]
        found[name_of(model)] = records, [parameter.detach() for parameter in parameters]
    torch.save(found, f"{folder}/{rank}.pt")
    dist.barrier()  # a rank that leaves while the other still talks to it can abort it
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    mp.spawn(train_on_two, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in (0, 1)]


@pytest.mark.parametrize("model", ONE_OF_EACH, ids=name_of)
def test_two_ranks_agree(model, ranks):
    (records, parameters), other = (found[name_of(model)] for found in ranks)
    assert len(records) == 2
    assert_same((records, parameters), other)
