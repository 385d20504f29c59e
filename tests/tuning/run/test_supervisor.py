"""What the driver makes of a slot whose own process ends."""

from types import SimpleNamespace

import fake_sweep
import pytest
from ray.exceptions import RayActorError

from segray.cluster.channel import Message
from segray.config import RunConfig
from segray.errors import StorageError
from segray.tuning.callbacks import Callback
from segray.tuning.callbacks.dispatcher import Dispatcher
from segray.tuning.run import supervisor as supervisor_module
from segray.tuning.run.progress import Progress, RunningTrial, View
from segray.tuning.run.repeats import ListSearch
from segray.tuning.run.retries import Retries
from segray.tuning.run.slot import to_result
from segray.tuning.run.supervisor import StateFile, Supervisor


@pytest.fixture
def supervisor(tmp_path, monkeypatch):
    """The supervisor of a sweep whose trial 0000 is running, and has taken 7 s of workers' time."""
    files = fake_sweep.empty_sweep(tmp_path).files
    progress = Progress(total=1, slots=1, deadline=None)
    progress.running["0000"] = RunningTrial("0000", {}, epochs=9)
    seconds = {"0000": 7.0}
    channel = SimpleNamespace(
        seconds=SimpleNamespace(remote=seconds.__getitem__), verdict=SimpleNamespace(remote=lambda *_: None)
    )
    monkeypatch.setattr(supervisor_module, "wait_for", lambda value: value)
    state = StateFile(files, progress)
    retries, callbacks = Retries(ListSearch(list), files), Dispatcher({}, print)
    view, paused = View(progress), {"0009"}.__contains__
    return Supervisor(channel, files, RunConfig(), progress, view, state, retries, paused, "was too low", callbacks)


class Heard(Callback):
    """Keeps what it hears."""

    def __init__(self):
        self.events = []

    def trial_begins(self, trial_id, config, values):
        self.events.append((trial_id, config["train.epochs"], config["optim.lr"], values))

    def epoch_done(self, trial_id, record):
        self.events.append((trial_id, record))

    def trial_ended(self, trial_id, outcome):
        self.events.append((trial_id, outcome.status))


def slot_with(error):
    return SimpleNamespace(config={"trial": "0000", "values": {}}, get_error=lambda: error)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            RayActorError(error_msg="The actor died because its node has died. Node Id: 1a"),
            "died 3 times in a row before an epoch was done; the last time it was lost with its node: The actor died "
            "because its node has died. Node Id: 1a",
        ),
        (
            RayActorError(error_msg="The actor is dead because its worker process has died."),
            "died 3 times in a row before an epoch was done; the last time it ended without a word, as after SIGKILL",
        ),
        (
            "Failure # 1 (occurred at 2026-12-01)\nNone\n",
            "died 3 times in a row before an epoch was done; the last time it ended without a word, as after SIGKILL",
        ),
        (
            ValueError("Traceback\nStorageError: cannot write"),
            "failed 3 times in a row: StorageError: cannot write",
        ),
    ],
)
def test_a_slot_that_died_too_often_fails_its_trial_with_the_reason_and_its_time(supervisor, error, reason):
    supervisor._retries.deaths["0000"] = 3
    supervisor.on_trial_error(slot_with(error))
    outcome = supervisor._sweep.trial("0000").outcome()
    assert outcome.status == "failed"
    assert f"the process in front of the trial's workers {reason}" in outcome.reason
    assert outcome.seconds == 7.0


def test_a_slot_that_died_costs_its_trial_nothing_but_a_line(supervisor, capsys):
    supervisor._sweep.trial("0000").write_values({})
    supervisor._retries.deaths["0000"] = 2
    supervisor.on_trial_error(slot_with(RayActorError(error_msg="The actor died because its node has died. Id: 1a")))
    trial = supervisor._sweep.trial("0000")
    assert trial.outcome() is None
    assert "workers was lost with its node" in trial.folder.read_bytes("log.txt").decode()
    assert "trial 0000 goes on in another slot: " in capsys.readouterr().out


def test_a_slot_that_died_before_its_trial_began_leaves_no_folder(supervisor):
    supervisor._retries.deaths["0000"] = 1
    supervisor.on_trial_error(slot_with(RayActorError(error_msg="The actor is dead")))
    assert not supervisor._sweep.trial("0000").folder.exists()


def test_storage_that_workers_cannot_write_ends_the_sweep_and_not_the_trial(supervisor):
    result = {"status": "no_storage", "reason": "cannot write 'last.json': No space left on device; make room there"}
    with pytest.raises(StorageError, match=r"No space left on device; make room there; then continue with --resume"):
        supervisor.on_trial_result(slot_with(None), result)
    assert supervisor._sweep.trial("0000").outcome() is None


def test_callbacks_hear_of_config_epochs_and_outcome_as_the_messages_say(supervisor):
    heard, values = Heard(), {"optim.lr": 0.5}
    supervisor._callbacks = Dispatcher({"heard": heard}, pytest.fail)
    supervisor._callbacks.sweep_begins(fake_sweep.info(), supervisor._sweep)
    trial = SimpleNamespace(config={"trial": "0001", "values": values})
    supervisor.on_trial_start(trial)
    epochs = [fake_sweep.record(number) for number in (1, 2)]
    supervisor.on_trial_result(trial, to_result(Message("0001", record=epochs[0])))
    supervisor.on_trial_result(trial, to_result(Message("0001", record=epochs[1], status="finished")))
    supervisor._callbacks.sweep_ends("finished")
    begun = ("0001", RunConfig().train.epochs, 0.5, values)
    assert heard.events == [begun, ("0001", epochs[0]), ("0001", epochs[1]), ("0001", "finished")]


def test_the_end_of_a_trial_on_all_data_says_that_its_score_is_on_training_images(supervisor, capsys):
    supervisor._progress.trains_on_val = True
    supervisor._sweep.trial("0000").write_values({})
    supervisor.on_trial_result(
        slot_with(None), to_result(Message("0000", record=fake_sweep.record(9), status="finished"))
    )
    ended = capsys.readouterr().out.splitlines()[0]
    assert ended.startswith("trial 0000 finished after 0 epochs, val mIoU on training images")


def test_a_paused_trial_leaves_its_slot_without_an_end(supervisor, capsys):
    trial = SimpleNamespace(config={"trial": "0009", "values": {}})
    files = supervisor._sweep.trial("0009")
    files.write_values({})
    supervisor.on_trial_start(trial)
    epoch = to_result(Message("0009", record=fake_sweep.record(1)))
    supervisor.on_trial_result(trial, epoch | {"done": True})
    assert files.outcome() is None
    log = files.folder.read_bytes("log.txt").decode()
    assert "paused after epoch 1: it promises too little to keep its slot" in log
    progress = supervisor._progress
    assert (progress.paused, set(progress.running), progress.done) == ({"0009"}, {"0000"}, 0)
    assert "1 running, 1 paused" in progress.headline()
    supervisor._state.write("running")
    assert supervisor._sweep.state().paused == ("0009",)
    supervisor.on_trial_start(trial)
    assert (progress.paused, set(progress.running)) == (set(), {"0000", "0009"})
