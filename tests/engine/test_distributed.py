"""Two gloo ranks, started once for the whole file; the tests check the results that they wrote."""

import math
import warnings
from functools import partial

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from tiny_run import (
    CPU,
    NUM_VAL,
    SCORING,
    LoaderWithJudged,
    cross_entropy,
    gan_config,
    gan_step,
    register,
    start,
    tiny_config,
    tiny_state,
    trained_and_resumed,
    val_loader,
    validation,
    without_timing,
)

from segray.engine.endings import Diverged, Interrupted
from segray.engine.steps import SupervisedStep
from segray.folder import open_folder

PLAIN = tiny_config(
    model__arch="without_batchnorm", train__batch_size=3, train__epochs=2,
    optim__name="sgd", optim__schedule="constant",
    optim__l2=0.05, optim__l2_layers="network.4.",
)  # fmt: skip
FULL = tiny_config(model__arch="with_unused_head", train__ema_decay=0.9)
GAN = gan_config(
    gan__discriminator="semantic", gan__r1_weight=1.0, gan__pool_size=5, gan__spectral_norm=True, model__output="rgb",
)  # fmt: skip
PLAIN_GAN = gan_config(
    model__arch="without_batchnorm", train__batch_size=3, train__epochs=2,
    optim__name="sgd", optim__schedule="constant",
    gan__norm="none", gan__optim__name="sgd", gan__r1_weight=1.0,
)  # fmt: skip
SAMPLES = (0, 1, 6)


def train_on_two(rank, folder):
    register()
    warnings.simplefilter("error")
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    found = {
        "evaluation": evaluate_untrained(rank, 2),
        "scored": evaluate_scored(rank, 2),
        "plain": without_timing(start(tiny_state(PLAIN), rank=rank, world_size=2)),
        "interrupted": ending(rank, interrupted=lambda: rank == 1),
        "interrupted in validation": ending(rank, validate=interrupted_validation(rank)),
        "diverged": ending(rank, step=PoisonedOnOneRank(rank)),
        "held": held_by_one_rank(rank),
    }
    ranks = {"rank": rank, "world_size": 2}
    (state, found["full"]), (_, found["resumed"]) = trained_and_resumed(
        FULL, open_folder(f"{folder}/full"), after=2, **ranks
    )
    found["weights"] = state.kept_model.state_dict()
    found["plain GAN"] = without_timing(start(tiny_state(PLAIN_GAN), step=gan_step(PLAIN_GAN), rank=rank, world_size=2))
    (gan, found["GAN"]), (_, found["resumed GAN"]) = trained_and_resumed(
        GAN, open_folder(f"{folder}/gan"), after=2, make_step=partial(gan_step, GAN), **ranks
    )
    found["GAN weights"] = [*gan.network.parameters(), *gan.adversary.discriminator.parameters()]
    torch.save(found, f"{folder}/{rank}.pt")
    dist.barrier()  # a rank that leaves while the other still talks to it can abort it
    dist.destroy_process_group()


def evaluate_untrained(rank, world_size):
    state = tiny_state(tiny_config())
    with torch.no_grad():
        for buffer in state.network.buffers():
            buffer += rank
    evaluation = validation(val_loader(rank, world_size), sample_indices=SAMPLES)(state.network)
    return evaluation.confusion, evaluation.loss, evaluation.samples


def evaluate_scored(rank, world_size):
    loader = LoaderWithJudged(NUM_VAL, 1, batch_size=2, rank=rank, world_size=world_size, shuffle=False)
    evaluation = validation(loader, scoring=SCORING)(tiny_state(tiny_config()).network)
    return evaluation.confusion.tolist(), evaluation.training_scores.pixel_accuracy


class PoisonedOnOneRank(SupervisedStep):
    def __init__(self, rank):
        super().__init__(cross_entropy(), CPU, torch.float32)
        self.rank = rank

    def __call__(self, state, batch):
        means = super().__call__(state, batch)
        return {"train_loss": means["train_loss"] * math.nan} if self.rank == 1 else means


class HoldOfOneRank:
    """A hold that rank 1 alone sees, before the fourth batch; each rank counts its waits."""

    def __init__(self, rank):
        self.looks, self.waits, self.rank = 0, 0, rank

    def is_wanted(self):
        self.looks += 1
        return self.rank == 1 and self.looks == 4

    def wait(self):
        self.waits += 1


def held_by_one_rank(rank):
    hold = HoldOfOneRank(rank)
    return hold.waits, without_timing(start(tiny_state(PLAIN), rank=rank, world_size=2, hold=hold)), hold.waits


def interrupted_validation(rank):
    return validation(val_loader(rank, 2), interrupted=lambda: rank == 1)


def ending(rank, **options):
    try:
        list(start(tiny_state(tiny_config()), rank=rank, world_size=2, **options))
    except (Interrupted, Diverged) as error:
        return type(error).__name__, str(error)
    return None


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    mp.spawn(train_on_two, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in (0, 1)]


def test_two_ranks_count_the_same_pixels_as_one(ranks):
    confusion, _, samples = evaluate_untrained(0, 1)
    for found in ranks:
        assert torch.equal(found["evaluation"][0], confusion)
    assert sorted(ranks[0]["evaluation"][2]) == list(SAMPLES)
    for index in SAMPLES:
        assert (ranks[0]["evaluation"][2][index] == samples[index]).all()


def test_two_ranks_count_the_same_pixels_as_one_where_other_classes_are_judged_by(ranks):
    assert ranks[0]["scored"] == ranks[1]["scored"] == evaluate_scored(0, 1)


def test_two_ranks_agree_on_every_record(ranks):
    assert len(ranks[0]["full"]) == 4
    assert ranks[0]["full"] == ranks[1]["full"]
    assert ranks[0]["evaluation"][1] == ranks[1]["evaluation"][1]


def test_two_ranks_hold_the_same_weights(ranks):
    first, second = (found["weights"] for found in ranks)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_two_ranks_with_unequal_shares_train_like_one_with_the_whole_batch(ranks):
    for found, expected in zip(ranks[0]["plain"], without_timing(start(tiny_state(PLAIN))), strict=True):
        assert found["train_loss"] == pytest.approx(expected["train_loss"], rel=1e-5)
        assert found["scores"]["val_loss"] == pytest.approx(expected["scores"]["val_loss"], rel=1e-5)
        assert found["scores"]["val_miou"] == pytest.approx(expected["scores"]["val_miou"], abs=2e-3)


@pytest.mark.parametrize(("unbroken", "resumed"), [("full", "resumed"), ("GAN", "resumed GAN")])
def test_two_ranks_resume_as_if_never_interrupted(unbroken, resumed, ranks):
    assert len(ranks[0][unbroken]) == 4
    assert ranks[0][resumed] == ranks[0][unbroken][2:]
    assert ranks[1][resumed] == ranks[0][resumed]


def test_two_ranks_with_unequal_shares_train_a_gan_like_one_with_the_whole_batch(ranks):
    expected = without_timing(start(tiny_state(PLAIN_GAN), step=gan_step(PLAIN_GAN)))
    losses = ("train_loss", "train_discriminator_loss", "train_real_accuracy", "train_fake_accuracy")
    for found, one in zip(ranks[0]["plain GAN"], expected, strict=True):
        assert [found[name] for name in losses] == pytest.approx([one[name] for name in losses], rel=1e-5)
        assert found["scores"]["val_loss"] == pytest.approx(one["scores"]["val_loss"], rel=1e-5)


def test_two_ranks_hold_the_same_model_and_discriminator(ranks):
    first, second = (found["GAN weights"] for found in ranks)
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))
    assert ranks[0]["GAN"] == ranks[1]["GAN"]


@pytest.mark.parametrize("where", ["interrupted", "interrupted in validation"])
def test_one_rank_that_is_interrupted_stops_both(where, ranks):
    assert [found[where] for found in ranks] == [("Interrupted", "")] * 2


def test_a_hold_that_one_rank_sees_lets_both_wait_and_changes_nothing(ranks):
    assert [found["held"] for found in ranks] == [(0, ranks[0]["plain"], 1)] * 2


def test_one_rank_that_diverges_stops_both_alike(ranks):
    assert ranks[0]["diverged"] == ranks[1]["diverged"]
    assert ranks[0]["diverged"][0] == "Diverged"
