import pytest
import torch
from tiny_run import CPU, cross_entropy, scenes, tiny_config, tiny_state
from torch import nn

from segray.data.batches.loaders import Batch
from segray.engine.steps import SupervisedStep, to_device


def batch(count=4):
    photos, labels = scenes(count, seed=3)
    return Batch(photos, labels, list(range(count)))


def step(precision=torch.float32, **options):
    supervised = SupervisedStep(cross_entropy(), CPU, precision, **options)
    return lambda state, batch: supervised(state, batch)["train_loss"]


def test_the_loss_is_detached_and_that_of_the_batch():
    state = tiny_state(tiny_config(model__arch="without_batchnorm"))
    expected = cross_entropy()(state.network(batch().photos_BCHW), batch().labels_BHW.long())
    loss = step()(state, batch())
    assert not loss.requires_grad
    assert loss.shape == ()
    torch.testing.assert_close(loss, expected.detach())


@pytest.mark.parametrize("micro_batches", [2, 3, 5])
def test_micro_batches_train_like_the_whole_batch(micro_batches):
    config = tiny_config(model__arch="without_batchnorm", optim__name="sgd", optim__schedule="constant")
    whole, parts = tiny_state(config), tiny_state(config)
    whole_loss = step()(whole, batch(5))
    parts_loss = step(micro_batches=micro_batches)(parts, batch(5))
    torch.testing.assert_close(parts_loss, whole_loss)
    torch.testing.assert_close(parts.network.state_dict(), whole.network.state_dict())


def test_micro_batches_are_as_even_as_can_be():
    state, sizes = tiny_state(tiny_config()), []
    state.network.register_forward_hook(lambda module, photos, logits: sizes.append(len(logits)))
    step(micro_batches=4)(state, batch(9))
    assert sizes == [3, 2, 2, 2]


def test_more_micro_batches_than_images_are_fine():
    state = tiny_state(tiny_config())
    assert step(micro_batches=8)(state, batch(2)).isfinite()


def test_gradients_are_clipped():
    config = tiny_config(
        model__arch="without_batchnorm", optim__name="sgd", optim__momentum=0, optim__schedule="constant",
        optim__lr=1.0, optim__weight_decay=0, optim__grad_clip=1e-3,
    )  # fmt: skip
    state = tiny_state(config)
    before = [p.detach().clone() for p in state.network.parameters()]
    step()(state, batch())
    moved = torch.cat([(p - q).flatten() for p, q in zip(state.network.parameters(), before, strict=True)])
    assert moved.norm().item() == pytest.approx(1e-3, rel=1e-2)


def test_the_average_follows_the_weights():
    state = tiny_state(tiny_config(train__ema_decay=0.99))
    before = [p.clone() for p in state.ema.model.parameters()]
    step()(state, batch())
    decay = 2 / 11  # after 1 step, far below 0.99
    for average, start, trained in zip(state.kept_model.parameters(), before, state.network.parameters(), strict=True):
        torch.testing.assert_close(average, decay * start + (1 - decay) * trained.detach())
    counts = {int(value) for name, value in state.kept_model.named_buffers() if name.endswith("num_batches_tracked")}
    assert counts == {1}


def test_the_average_has_the_decay_asked_for_in_the_long_run():
    state = tiny_state(tiny_config(train__ema_decay=0.5))
    average = next(state.ema.model.parameters())
    before = average.clone()
    state.ema.update(state.network, num_steps=10_000)
    torch.testing.assert_close(average, 0.5 * before + 0.5 * next(state.network.parameters()).detach())


def test_bfloat16_trains_float32_weights():
    seen = []
    state = tiny_state(tiny_config())
    state.network.register_forward_hook(lambda module, photos, logits: seen.append(logits.dtype))
    loss = step(torch.bfloat16)(state, batch())
    assert seen == [torch.bfloat16]
    assert loss.dtype == torch.float32
    assert {p.dtype for p in state.network.parameters()} == {torch.float32}


@pytest.mark.parametrize("channels_last", [True, False])
def test_batches_get_the_layout_asked_for(channels_last):
    photos_BHWC = torch.zeros(2, 8, 8, 3, dtype=torch.uint8)
    photos, labels = to_device(
        Batch(photos_BHWC.permute(0, 3, 1, 2), torch.zeros(2, 8, 8, dtype=torch.uint8), [0, 1]),
        CPU,
        channels_last=channels_last,
    )
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert photos.is_contiguous(memory_format=layout)
    assert labels.dtype == torch.int64


@pytest.mark.parametrize("channels_last", [True, False])
def test_weights_get_the_layout_asked_for(channels_last):
    state = tiny_state(tiny_config(train__channels_last=channels_last))
    weight = next(p for p in state.network.parameters() if p.ndim == 4 and p.shape[1] > 1)
    assert weight.is_contiguous(memory_format=torch.channels_last) == channels_last


def test_a_step_accepts_any_loss_module():
    class Constant(nn.Module):
        def forward(self, logits_BCHW, labels_BHW):
            return (logits_BCHW * 0).sum() + 2

    assert SupervisedStep(Constant(), CPU, torch.float32)(tiny_state(tiny_config()), batch()) == {"train_loss": 2}
