"""A model and a discriminator that train against each other on coloured blocks."""

from functools import partial

import pytest
import torch
from tiny_run import (
    CPU,
    LABEL_SPACE,
    gan_config,
    gan_step,
    scenes,
    start,
    tiny_config,
    tiny_state,
    trained_and_resumed,
)

from segray.data.batches.loaders import Batch
from segray.engine.steps import split_batch
from segray.folder import open_folder
from segray.labels import IGNORE_INDEX
from segray.losses.adversarial import ADVERSARIAL_LOSSES, r1_penalty
from segray.losses.label_images import absolute_difference, gradient_difference

VARIANTS = {
    "patchgan, bce": {},
    "colours, lsgan": {"model__output": "rgb", "gan__loss": "lsgan"},
    "semantic, hinge, R1, pool": {
        "gan__discriminator": "semantic", "gan__loss": "hinge", "gan__r1_weight": 1.0, "gan__pool_size": 6,
    },
    "unconditioned, spectral norm, smoothed": {
        "gan__conditioned": False, "gan__spectral_norm": True, "gan__norm": "none", "gan__label_smoothing": 0.1,
    },
    "instance norm, EMA, both clipped, schedules": {
        "gan__norm": "instance", "train__ema_decay": 0.9, "optim__grad_clip": 0.1, "gan__optim__grad_clip": 0.1,
        "gan__optim__schedule": "linear", "optim__schedule": "cosine", "gan__gradient_kind": "soft",
    },
}  # fmt: skip
WITHOUT_NORM = {"model__arch": "without_batchnorm", "gan__norm": "none"}


@pytest.fixture(params=VARIANTS.values(), ids=VARIANTS.keys())
def config(request):
    return gan_config(**request.param)


def batch(count=4):
    photos, labels = scenes(count, seed=3)
    return Batch(photos, labels, list(range(count)))


def parameters(module):
    return torch.cat([p.detach().flatten() for p in module.parameters()])


def gradients(module):
    return [p.grad for p in module.parameters()]


def test_both_learn_and_say_so(config):
    state = tiny_state(config)
    model, discriminator = parameters(state.network), parameters(state.adversary.discriminator)
    means = gan_step(config)(state, batch())
    assert list(means) == [
        "train_loss", "train_discriminator_loss", "train_real_accuracy", "train_fake_accuracy"
    ]  # fmt: skip
    assert all(value.isfinite() and value.shape == () and not value.requires_grad for value in means.values())
    assert not torch.equal(parameters(state.network), model)
    assert not torch.equal(parameters(state.adversary.discriminator), discriminator)
    assert not any(gradient is not None for gradient in gradients(state.network))
    assert not any(gradient is not None for gradient in gradients(state.adversary.discriminator))


def shown(config, state, labels=None):
    """Return the step, a batch as its only part, and the part's label images and logits."""
    step, whole = gan_step(config), batch()
    if labels is not None:
        whole = whole._replace(labels_BHW=labels)
    (part,) = split_batch(whole, 1, CPU, channels_last=True)
    return step, part, *step._label_images(state, part)


def model_loss(config, state, labels=None):
    step, part, real, fake, logits_BCHW = shown(config, state, labels)
    by_pixels = step.loss(logits_BCHW, fake.image_BCHW, real.image_BCHW, part.labels_BHW)
    return by_pixels + step._loss_by_scores(state.adversary, fake)


def test_the_models_loss_gives_the_discriminator_no_gradient(config):
    state = tiny_state(config)
    model_loss(config, state).backward()
    assert all(gradient is None for gradient in gradients(state.adversary.discriminator))
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients(state.network))
    assert all(p.requires_grad for p in state.adversary.discriminator.parameters())


def test_the_adversarial_loss_alone_reaches_every_parameter_of_the_model():
    config = gan_config(gan__segmentation_weight=0, gan__l1_weight=0, gan__gradient_weight=0, **WITHOUT_NORM)
    state = tiny_state(config)
    model_loss(config, state).backward()
    assert all(gradient.abs().sum() > 0 for gradient in gradients(state.network))


def test_the_discriminators_loss_gives_the_model_no_gradient(config):
    state = tiny_state(config)
    step, _, real, fake, _ = shown(config, state)
    step._learn_to_tell(state.adversary, real, fake.detached(), share=torch.ones(()))
    assert all(gradient is None for gradient in gradients(state.network))
    found = gradients(state.adversary.discriminator)
    assert all(gradient is not None and gradient.isfinite().all() for gradient in found)


@pytest.mark.parametrize("kind", ["hard", "soft"])
def test_the_model_minimises_the_weighted_sum_of_four_losses(kind):
    weights = {"adversarial": 0.3, "segmentation": 2.0, "l1": 5.0, "gradient": 0.7}
    options = {f"gan__{name}_weight": weight for name, weight in weights.items()}
    config = gan_config(**options, gan__gradient_kind=kind, **WITHOUT_NORM)
    state = tiny_state(config)
    step, part, real, fake, logits_BCHW = shown(config, state)
    images = (fake.image_BCHW, real.image_BCHW, part.labels_BHW)
    terms = {
        "adversarial": ADVERSARIAL_LOSSES["bce"].model(state.adversary.score_frozen(fake)),
        "segmentation": step.loss.segmentation(logits_BCHW, part.labels_BHW),
        "l1": absolute_difference(*images),
        "gradient": gradient_difference(*images, kind),
    }
    expected = sum(weights[name] * value.item() for name, value in terms.items())
    assert step(tiny_state(config), batch())["train_loss"].item() == pytest.approx(expected, rel=1e-5)


def test_the_discriminator_minimises_its_loss_with_smoothing_and_penalty():
    config = gan_config(gan__loss="lsgan", gan__label_smoothing=0.2, gan__r1_weight=3.0, **WITHOUT_NORM)
    state = tiny_state(config)
    step, _, real, fake, _ = shown(config, state)
    real = real._replace(image_BCHW=real.image_BCHW.requires_grad_())
    scores = state.adversary.real_and_fake(real, fake.detached())
    expected = ADVERSARIAL_LOSSES["lsgan"].discriminator(*scores, 0.2) + 3.0 * r1_penalty(scores[0], real.image_BCHW)
    got = step(tiny_state(config), batch())["train_discriminator_loss"]
    assert got.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_discriminator_is_shown_what_the_pool_gives():
    config = gan_config(gan__pool_size=3)
    state, step, exchanged = tiny_state(config), gan_step(config), []
    exchange = state.adversary.pool.exchange

    def spy(fake, epoch):
        exchanged.append(exchange(fake, epoch))
        return exchanged[-1]._replace(image_BCHW=torch.zeros_like(fake.image_BCHW))

    state.adversary.pool.exchange = spy
    seen = []
    state.adversary.discriminator.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[1]))
    step(state, batch())
    assert len(exchanged) == 1
    # The discriminator sees the model's images for the model's loss, then the real images, then those of the pool.
    assert [bool(image.any()) for image in seen] == [True, True, False]


def test_the_discriminator_follows_its_own_optimiser_schedule_and_clip():
    config = gan_config(
        gan__optim__name="sgd", gan__optim__momentum=0, gan__optim__lr=1.0, gan__optim__schedule="cosine",
        gan__optim__grad_clip=1e-3,
    )  # fmt: skip
    state = tiny_state(config)
    before = parameters(state.adversary.discriminator)
    gan_step(config)(state, batch())
    assert (parameters(state.adversary.discriminator) - before).norm().item() == pytest.approx(1e-3, rel=1e-2)
    assert state.adversary.schedule.last_epoch == 1
    assert state.adversary.schedule.get_last_lr()[0] < 1.0


def test_label_images_are_the_labels_and_0_where_they_are_void(config):
    state = tiny_state(config)
    _, _, real, fake, _ = shown(config, state)
    labels_BHW = batch().labels_BHW
    void_BHW = labels_BHW == IGNORE_INDEX
    assert void_BHW.any()
    for images in (real, fake):
        assert images.image_BCHW.movedim(1, -1)[void_BHW].abs().sum() == 0
    of_labels = real.image_BCHW.movedim(1, -1)[~void_BHW]
    ids = labels_BHW[~void_BHW].long()
    one_hot = torch.nn.functional.one_hot(ids, 3).float()
    colors = torch.tensor(LABEL_SPACE.colors)[ids] / 127.5 - 1
    torch.testing.assert_close(of_labels, colors if config.model.output == "rgb" else one_hot)


def test_void_pixels_give_the_model_no_gradient(config):
    state, labels = tiny_state(config), batch().labels_BHW.clone()
    labels[:, :, :12] = IGNORE_INDEX
    raw = []
    state.network.register_forward_hook(lambda module, photos, output: (output.retain_grad(), raw.append(output))[1])
    model_loss(config, state, labels).backward()
    assert raw[0].grad[:, :, :, :12].abs().sum() == 0
    assert raw[0].grad[:, :, :, 12:].abs().sum() > 0


def test_patches_without_a_labelled_pixel_do_not_count(config):
    state, labels = tiny_state(config), torch.ones_like(batch().labels_BHW)
    labels[:, :, :12] = IGNORE_INDEX
    _, _, real, _, _ = shown(config, state, labels)
    counted = state.adversary.score_frozen(real).counted
    assert 0 < counted.mean() < 1
    assert counted[..., 0].sum() == 0
    assert counted[..., -1].all()


@pytest.mark.parametrize("labels", [IGNORE_INDEX, 1], ids=["all void", "one class alone"])
@pytest.mark.parametrize("count", [1, 4])
def test_any_labels_and_one_image_are_finite(labels, count, config):
    state = tiny_state(config)
    whole = batch(count)
    means = gan_step(config)(state, whole._replace(labels_BHW=torch.full_like(whole.labels_BHW, labels)))
    assert all(value.isfinite() for value in means.values())
    assert parameters(state.network).isfinite().all()
    assert parameters(state.adversary.discriminator).isfinite().all()


def test_an_odd_size_is_fine(config):
    photos, labels = scenes(4, seed=3)
    odd = Batch(photos.repeat(1, 1, 2, 2)[:, :, :29, :35], labels.repeat(1, 2, 2)[:, :29, :35], [0, 1, 2, 3])
    assert all(value.isfinite() for value in gan_step(config)(tiny_state(config), odd).values())


@pytest.mark.parametrize("micro_batches", [2, 3, 8])
def test_micro_batches_train_like_the_whole_batch(micro_batches):
    options = {"optim__name": "sgd", "gan__optim__name": "sgd", "optim__schedule": "constant", **WITHOUT_NORM}
    config = gan_config(**options)
    whole, parts = tiny_state(config), tiny_state(config)
    expected = gan_step(config)(whole, batch(5))
    got = gan_step(config, micro_batches=micro_batches)(parts, batch(5))
    torch.testing.assert_close(got, expected)
    torch.testing.assert_close(parts.network.state_dict(), whole.network.state_dict())
    torch.testing.assert_close(parts.adversary.state_dict(), whole.adversary.state_dict())


def test_a_weight_of_zero_leaves_the_discriminator_out_and_the_other_losses_in():
    alone = gan_config(gan__adversarial_weight=0, gan__l1_weight=0, gan__gradient_weight=0)
    state, without = tiny_state(alone), tiny_state(tiny_config())
    assert state.adversary is None
    (*_, last), _ = list(start(state, step=gan_step(alone))), list(start(without))
    assert last.train_discriminator_loss is None
    torch.testing.assert_close(state.network.state_dict(), without.network.state_dict())
    with_l1 = gan_config(gan__adversarial_weight=0)
    assert (
        gan_step(with_l1)(tiny_state(with_l1), batch())["train_loss"]
        > gan_step(alone)(tiny_state(alone), batch())["train_loss"]
    )


def test_bfloat16_trains_both(config):
    state = tiny_state(config)
    means = gan_step(config, precision=torch.bfloat16)(state, batch())
    assert all(value.isfinite() and value.dtype == torch.float32 for value in means.values())
    assert {p.dtype for p in state.adversary.discriminator.parameters()} == {torch.float32}


def test_the_model_learns_the_classes_against_the_discriminator(config):
    config = config.with_values({"train.epochs": 12})
    *_, last = start(tiny_state(config), step=gan_step(config))
    assert last.scores["val_miou"] > 0.7
    assert last.train_discriminator_loss is not None
    assert 0 <= last.train_real_accuracy <= 1
    assert 0 <= last.train_fake_accuracy <= 1


def test_a_discriminator_learns_against_a_model_that_stands_still():
    config = gan_config(optim__lr=1e-9, train__epochs=12)
    first, *_, last = start(tiny_state(config), step=gan_step(config))
    assert last.train_discriminator_loss < first.train_discriminator_loss
    assert last.train_real_accuracy + last.train_fake_accuracy > 1.9


def test_resumed_equals_uninterrupted_to_the_last_bit(config, tmp_path):
    (unbroken, records), (resumed, later) = trained_and_resumed(
        config, open_folder(tmp_path / "checkpoint"), after=2, make_step=partial(gan_step, config)
    )
    assert later == records[2:]
    for name, value in unbroken.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name
    for name, value in unbroken.adversary.discriminator.state_dict().items():
        assert torch.equal(value, resumed.adversary.discriminator.state_dict()[name]), name
