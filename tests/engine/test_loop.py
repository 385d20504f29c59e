import math

import pytest
import torch
from tiny_run import CPU, LABEL_SPACE, cross_entropy, start, tiny_config, tiny_state, without_timing

from segray.engine.endings import Diverged, Interrupted
from segray.engine.evaluate import Evaluation
from segray.engine.steps import SupervisedStep
from segray.objective import find_objective


def scripted(*correct_pixels):
    """Return a validation with scripted scores: per call, how many of each class's 100 pixels are right."""
    script = iter(correct_pixels)

    def validate(model):
        right = next(script)
        confusion = torch.tensor([[right, 100 - right, 0], [100 - right, right, 0], [0, 0, 0]])
        return Evaluation(confusion=confusion, loss=1.0, samples={})

    return validate


def test_it_learns_and_counts_epochs_from_one():
    records = list(start(tiny_state(tiny_config(train__epochs=6))))
    assert [record.epoch for record in records] == [1, 2, 3, 4, 5, 6]
    assert records[-1].train_loss < 0.5 * records[0].train_loss
    assert records[-1].scores["val_miou"] > 0.9
    assert records[-1].best_score == max(record.scores["val_miou"] for record in records)


def test_a_record_is_complete():
    [record] = start(tiny_state(tiny_config(train__epochs=1)), attempt=3)
    assert record.attempt == 3
    assert {f"val_iou/{name}" for name in LABEL_SPACE.names} < record.scores.keys()
    assert math.isfinite(record.scores["val_loss"])
    assert 0 <= record.scores["val_pixel_accuracy"] <= 1
    assert 0 <= record.scores["val_mean_class_accuracy"] <= 1
    assert 0 < record.learning_rate < 0.02
    assert record.images_per_second > 0
    assert record.epoch_seconds > 0
    assert record.best_epoch == 1


def test_same_config_and_seed_give_the_same_records():
    config = tiny_config(train__ema_decay=0.9)
    assert without_timing(start(tiny_state(config))) == without_timing(start(tiny_state(config)))


def test_another_seed_gives_other_records():
    first, second = (without_timing(start(tiny_state(tiny_config(seed=seed)))) for seed in (1, 2))
    assert first != second


def test_state_is_up_to_date_when_a_record_comes():
    state = tiny_state(tiny_config())
    for record in start(state, validate=scripted(40, 60, 50, 55)):
        assert (state.epoch, state.best_epoch) == (record.epoch, record.best_epoch)
        assert state.best_score == record.best_score
    assert state.best_epoch == 2


def test_patience_ends_the_run_after_epochs_without_a_better_score():
    config = tiny_config(train__epochs=9, train__patience=2)
    records = list(start(tiny_state(config), validate=scripted(40, 60, 50, 60, 99)))
    assert [record.best_epoch for record in records] == [1, 2, 2, 2]


def test_a_run_that_is_out_of_patience_does_not_go_on_when_resumed():
    state = tiny_state(tiny_config(train__epochs=9, train__patience=2))
    state.epoch, state.best_epoch, state.best_score = 4, 2, 0.5
    assert list(start(state)) == []


def test_a_run_without_any_score_is_out_of_patience_too():
    def validate(model):
        return Evaluation(confusion=torch.zeros(3, 3, dtype=torch.int64), loss=math.nan, samples={})

    records = list(start(tiny_state(tiny_config(train__epochs=9, train__patience=2)), validate=validate))
    assert [(record.scores["val_miou"], record.scores["val_loss"]) for record in records] == [(None, None)] * 2
    assert [record.best_epoch for record in records] == [None, None]


def test_interruption_comes_between_batches():
    state = tiny_state(tiny_config())
    answers = iter([False] * 6 + [True])
    records = []
    with pytest.raises(Interrupted):
        records.extend(start(state, interrupted=lambda: next(answers)))
    assert state.epoch == 1
    assert state.schedule.last_epoch == 5


def test_a_loss_that_becomes_nan_ends_the_run():
    class Poisoned(SupervisedStep):
        def __call__(self, state, batch):
            means = super().__call__(state, batch)
            return {"train_loss": means["train_loss"] * (math.nan if state.schedule.last_epoch == 5 else 1)}

    records = []
    with pytest.raises(Diverged) as caught:
        records.extend(start(tiny_state(tiny_config()), step=Poisoned(cross_entropy(), CPU, torch.float32)))
    assert (caught.value.epoch, caught.value.step) == (2, 2)
    assert "step 2 of epoch 2" in str(caught.value)


def test_a_loss_that_becomes_infinite_in_the_last_batch_ends_the_run():
    def step(state, batch):
        state.optimizer.step()
        state.schedule.step()
        return {"train_loss": torch.tensor(math.inf if state.schedule.last_epoch == 3 else 1.0)}

    with pytest.raises(Diverged, match="step 3 of epoch 1"):
        next(start(tiny_state(tiny_config()), step=step))


def with_losses(*losses):
    """Return a validation whose loss follows the script while its mIoU rises."""
    script = iter(enumerate(losses, start=1))

    def validate(model):
        number, loss = next(script)
        right = 10 * number
        confusion = torch.tensor([[right, 100 - right, 0], [100 - right, right, 0], [0, 0, 0]])
        return Evaluation(confusion=confusion, loss=loss, samples={})

    return validate


def test_best_epoch_and_patience_follow_the_objective():
    config = tiny_config(train__epochs=9, train__patience=2)
    losses = with_losses(0.9, 0.4, math.inf, 0.5, 0.1)
    records = list(start(tiny_state(config), validate=losses, objective=find_objective("val_loss")))
    assert [(record.best_epoch, record.best_score) for record in records] == [(1, 0.9), (2, 0.4), (2, 0.4), (2, 0.4)]


def test_the_iou_of_a_class_can_be_the_objective():
    name = f"val_iou/{LABEL_SPACE.names[0]}"
    validate = scripted(40, 60, 50)
    records = list(start(tiny_state(tiny_config(train__epochs=3)), validate=validate, objective=find_objective(name)))
    assert [record.best_epoch for record in records] == [1, 2, 2]
    assert records[-1].best_score == pytest.approx(60 / 140)


def test_with_all_data_every_epoch_is_the_best_so_far_and_patience_ends_nothing():
    state = tiny_state(tiny_config(data__all_data=True, train__patience=1))
    records = list(start(state, validate=scripted(90, 60, 50, 55)))
    assert [record.best_epoch for record in records] == [1, 2, 3, 4]
    assert [record.best_score for record in records] == [record.scores["val_miou"] for record in records]
