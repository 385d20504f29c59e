import asyncio

import pytest

from segray.clock import release_clock
from segray.cluster.channel import Channel, ChannelError
from segray.cluster.messages import Message, Task
from segray.cluster.slot_state import MAX_ATTEMPTS
from segray.records import EpochRecord


def record(epoch):
    return EpochRecord(
        epoch=epoch,
        train_loss=1.0,
        scores={"val_loss": 1.0, "val_miou": 0.5, "val_iou/road": 0.5},
        learning_rate=0.1,
        images_per_second=1.0,
        epoch_seconds=1.0,
        peak_memory_bytes=1,
        best_score=0.5,
        best_epoch=epoch,
    )


def message(trial_id, epoch=1, status=None):
    return Message(trial_id, record=record(epoch), status=status)


def run(scenario):
    async def limited():
        async with asyncio.timeout(5):
            return await scenario(Channel())

    return asyncio.run(limited())


async def start(channel, trial_id="0000"):
    generation, after = await channel.join("slot")
    await channel.submit("slot", Task(trial_id, {}))
    sequence, task = await channel.next_task("slot", generation, after)
    return generation, sequence, task


def test_a_trial_goes_to_the_worker_and_its_record_back_and_the_verdict_to_the_worker():
    async def scenario(channel):
        generation, _, task = await start(channel)
        assert task.trial_id == "0000"
        for go_on in (True, False):
            waiting = asyncio.create_task(channel.hand_over("slot", generation, message("0000")))
            assert (await channel.next_message("slot")).record.epoch == 1
            await channel.verdict("0000", go_on)
            assert await waiting is go_on

    run(scenario)


def test_every_rank_takes_a_task_once():
    async def scenario(channel):
        generation, after = await channel.join("slot")
        ranks = [asyncio.create_task(channel.next_task("slot", generation, after)) for _ in range(2)]
        await channel.submit("slot", Task("0000", {}))
        (sequence, first), (_, second) = await asyncio.gather(*ranks)
        assert first == second
        again = asyncio.create_task(channel.next_task("slot", generation, sequence))
        await asyncio.sleep(0.01)
        assert not again.done()
        await channel.finish("slot")
        assert await again is None

    run(scenario)


def test_the_last_epoch_needs_no_verdict():
    async def scenario(channel):
        generation, *_ = await start(channel)
        assert await channel.hand_over("slot", generation, message("0000", status="finished")) is False
        assert (await channel.next_message("slot")).status == "finished"

    run(scenario)


def test_a_new_generation_gets_the_trial_again_and_voids_the_wait_of_the_dead_one():
    async def scenario(channel):
        dead, *_ = await start(channel)
        waiting = asyncio.create_task(channel.hand_over("slot", dead, message("0000")))
        await channel.next_message("slot")
        generation, after = await channel.join("slot")
        assert await waiting is False
        _, task = await channel.next_task("slot", generation, after)
        assert task.attempt == 2
        assert await channel.hand_over("slot", dead, message("0000", epoch=9)) is False
        assert await channel.next_task("slot", dead, 0) is None

    run(scenario)


def test_a_group_that_died_before_it_took_the_trial_costs_no_attempt():
    async def scenario(channel):
        await channel.join("slot")
        await channel.submit("slot", Task("0000", {}))
        generation, after = await channel.join("slot")
        assert (await channel.next_task("slot", generation, after))[1].attempt == 1

    run(scenario)


def test_a_group_that_dies_twice_before_it_takes_the_trial_again_costs_one_attempt():
    async def scenario(channel):
        await start(channel)
        await channel.join("slot")
        generation, after = await channel.join("slot")
        assert (await channel.next_task("slot", generation, after))[1].attempt == 2

    run(scenario)


def test_the_next_trial_lets_the_waiters_of_the_last_one_go():
    async def scenario(channel):
        generation, *_ = await start(channel)
        stop = asyncio.create_task(channel.should_stop("slot", generation))
        await asyncio.sleep(0.01)
        await channel.hand_over("slot", generation, message("0000", status="finished"))
        await channel.submit("slot", Task("0001", {}))
        await stop

    run(scenario)


def test_a_trial_that_kills_its_workers_again_and_again_fails():
    async def scenario(channel):
        generation, after, _ = await start(channel)
        for _ in range(MAX_ATTEMPTS - 1):
            generation, after = await channel.join("slot")
            await channel.next_task("slot", generation, after)
            await channel.note_failure("slot", 0, "Connection closed by peer", "Traceback")
        await channel.join("slot")
        noted, again, last, end = [await channel.next_message("slot") for _ in range(MAX_ATTEMPTS + 1)]
        assert noted.log.startswith("attempt 1 ended: nobody saw why")
        assert again.log == last.log.replace("3", "2") == "attempt 2 ended: Connection closed by peer\nTraceback"
        assert end.status == "failed"
        assert "died 3 times in a row before an epoch was done: Connection closed by peer" in end.reason

    run(scenario)


def test_deaths_with_epochs_between_them_never_end_a_trial():
    async def scenario(channel):
        generation, *_ = await start(channel)
        for epoch in range(1, 3 * MAX_ATTEMPTS):
            waiting = asyncio.create_task(channel.hand_over("slot", generation, message("0000", epoch)))
            while (heard := await channel.next_message("slot")).record is None:
                assert heard.status is None
            await channel.verdict("0000", True)
            assert await waiting
            generation, after = await channel.join("slot")
            _, task = await channel.next_task("slot", generation, after)
            assert task.attempt == epoch + 1

    run(scenario)


def test_the_last_of_too_many_deaths_ends_the_trial_before_another_group_starts():
    async def scenario(channel):
        await start(channel)
        for number in range(1, MAX_ATTEMPTS + 1):
            await channel.starting("slot")
            if number > 1:
                generation, after = await channel.join("slot")
                await channel.next_task("slot", generation, after)
            await channel.stopping("slot", number, 0, "the worker ended with exit code 3", "last words")
            assert (await channel.next_message("slot")).log.endswith("exit code 3\nlast words")
        end = await channel.next_message("slot")
        assert (end.status, end.traceback) == ("failed", "last words")
        assert end.reason.endswith("ended with exit code 3")

    run(scenario)


def test_what_a_dead_worker_said_itself_counts_more_than_how_it_died_and_that_more_than_what_others_lost():
    async def scenario(channel):
        await start(channel)
        await channel.note_failure("slot", 1, "worker 1 hung", "stack")
        await channel.note_failure("slot", 0, "Connection closed by peer", "Traceback")
        await channel.stopping("slot", 0, 1, "worker 1 ended with exit code 1", "last words")
        assert (await channel.next_message("slot")).log == "attempt 1 ended: worker 1 hung\nstack"
        generation, after = await channel.join("slot")
        await channel.next_task("slot", generation, after)
        await channel.note_failure("slot", 0, "Connection closed by peer", "Traceback")
        await channel.stopping("slot", 0, 1, "worker 1 ended with SIGSEGV (signal 11)", "last words")
        assert (await channel.next_message("slot")).log.startswith("attempt 2 ended: worker 1 ended with SIGSEGV")
        generation, after = await channel.join("slot")
        await channel.next_task("slot", generation, after)
        await channel.note_failure("slot", 1, "ValueError: no such class", "Traceback")
        await channel.note_failure("slot", 0, "Connection closed by peer", "Traceback")
        await channel.stopping("slot", 0)
        assert (await channel.next_message("slot")).log.startswith("attempt 3 ended: ValueError: no such class")

    run(scenario)


def test_the_time_of_all_attempts_counts():
    async def scenario(channel):
        generation, after = await channel.join("slot")
        await channel.submit("slot", Task("0000", {}, seconds=100.0))
        for _ in range(MAX_ATTEMPTS):
            _, task = await channel.next_task("slot", generation, after)
            await asyncio.sleep(0.02)
            generation, after = await channel.join("slot")
        assert 100.03 < task.seconds < 110
        while (end := await channel.next_message("slot")).status is None:
            pass
        assert 100.05 < end.seconds < 110

    run(scenario)


def test_a_controllers_death_gives_the_trial_another_attempt_and_lets_its_old_workers_go():
    async def scenario(channel):
        assert await channel.next_run("slot")
        old, *_ = await start(channel)
        stop = asyncio.create_task(channel.should_stop("slot", old))
        waiting = asyncio.create_task(channel.hand_over("slot", old, message("0000")))
        await channel.next_message("slot")
        assert await channel.next_run("slot", "Train's controller was killed", "Traceback")
        await stop
        assert await waiting is False
        assert await channel.next_task("slot", old, 0) is None
        assert (await channel.next_message("slot")).log == "attempt 1 ended: Train's controller was killed\nTraceback"
        generation, after = await channel.join("slot")
        _, task = await channel.next_task("slot", generation, after)
        assert task.attempt == 2
        next_stop = asyncio.create_task(channel.should_stop("slot", generation))
        await asyncio.sleep(0.01)
        assert not next_stop.done()
        await channel.interrupt()
        await next_stop

    run(scenario)


def test_train_runs_that_never_get_ready_are_given_up_and_others_are_not():
    async def scenario(channel):
        for _ in range(2 * MAX_ATTEMPTS):
            assert await channel.next_run("slot")
            generation, after = await channel.join("slot")
            await channel.submit("slot", Task("0000", {}))
            await channel.next_task("slot", generation, after)
            await channel.hand_over("slot", generation, message("0000", status="finished"))
            await channel.next_message("slot")
        await channel.submit("slot", Task("0001", {}))
        runs = [await channel.next_run("slot", "Train's controller was killed") for _ in range(MAX_ATTEMPTS + 1)]
        assert runs == [True] * MAX_ATTEMPTS + [False]
        end = await channel.next_message("slot")
        assert (end.trial_id, end.status) == ("0001", "failed")
        assert end.reason.endswith("could not be kept running: Train's controller was killed")

    run(scenario)


def test_a_trial_that_another_slot_takes_up_leaves_the_slot_whose_process_died():
    async def scenario(channel):
        old, *_ = await start(channel)
        waiting = asyncio.create_task(channel.hand_over("slot", old, message("0000")))
        await channel.next_message("slot")
        await asyncio.sleep(0.02)
        assert 0.02 < await channel.seconds("0000") < 10
        assert await channel.seconds("0001") == 0
        await channel.submit("other", Task("0000", {}))
        assert await waiting is False
        assert await channel.next_task("slot", old, 0) is None
        assert list(await channel.waiting_seconds()) == ["0000"]
        generation, after = await channel.join("other")
        _, task = await channel.next_task("other", generation, after)
        assert task.attempt == 2
        assert 0.02 < task.seconds < 10

    run(scenario)


def test_a_stop_that_reaches_a_trial_in_mid_epoch_ends_it_between_batches():
    async def scenario(channel):
        generation, *_ = await start(channel)
        stop = asyncio.create_task(channel.should_stop("slot", generation))
        await channel.verdict("0000", True)
        await asyncio.sleep(0.01)
        assert not stop.done()
        await channel.verdict("0000", False)
        await stop

    run(scenario)


def test_a_verdict_for_another_trial_changes_nothing():
    async def scenario(channel):
        generation, *_ = await start(channel)
        waiting = asyncio.create_task(channel.hand_over("slot", generation, message("0000")))
        await channel.next_message("slot")
        await channel.verdict("0001", False)
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await channel.verdict("0000", True)
        assert await waiting is True

    run(scenario)


def test_an_interrupt_frees_everyone_and_new_trials_too():
    async def scenario(channel):
        generation, *_ = await start(channel)
        stop = asyncio.create_task(channel.should_stop("slot", generation))
        waiting = asyncio.create_task(channel.hand_over("slot", generation, message("0000")))
        await channel.next_message("slot")
        await channel.interrupt()
        assert await waiting is False
        await stop
        assert (await channel.next_message("slot")).status == "interrupted"
        await channel.submit("slot", Task("0001", {}))
        assert (await channel.next_message("slot")).status == "interrupted"

    run(scenario)


def test_a_group_that_is_gone_for_good_fails_its_trial_and_the_next_with_what_its_workers_said():
    async def scenario(channel):
        await channel.submit("slot", Task("0000", {}))
        while await channel.starting("slot"):
            await channel.join("slot")
            await channel.note_failure("slot", 0, "ImportError: no torch", "Traceback: no torch")
        assert not await channel.next_run("slot", "ControllerError: died again and again", "Traceback: of Train")
        for trial_id in ("0000", "0001"):
            end = await channel.next_message("slot")
            assert (end.trial_id, end.status) == (trial_id, "failed")
            assert end.reason.endswith("could not be kept running: ImportError: no torch")
            assert end.traceback == "Traceback: no torch"
            await channel.submit("slot", Task("0001", {}))

    run(scenario)


def test_a_group_that_never_gets_ready_is_given_up():
    async def scenario(channel):
        await channel.submit("slot", Task("0000", {}))
        starts = [await channel.starting("slot") for _ in range(MAX_ATTEMPTS + 1)]
        assert starts == [*range(1, MAX_ATTEMPTS + 1), None]

    run(scenario)


def test_a_group_that_was_ready_may_start_again_as_often():
    async def scenario(channel):
        for _ in range(2 * MAX_ATTEMPTS):
            assert await channel.starting("slot")
            generation, after = await channel.join("slot")
            await channel.submit("slot", Task("0000", {}))
            await channel.next_task("slot", generation, after)
            await channel.hand_over("slot", generation, message("0000", status="finished"))

    run(scenario)


def test_only_trials_without_workers_wait():
    async def scenario(channel):
        await start(channel)
        await channel.submit("other", Task("0001", {}))
        await asyncio.sleep(0.01)
        assert list(await channel.waiting_seconds()) == ["0001"]
        assert (await channel.waiting_seconds())["0001"] >= 0.01
        await channel.stopping("slot", start=0)
        assert set(await channel.waiting_seconds()) == {"0000", "0001"}
        generation, after = await channel.join("slot")
        await channel.next_task("slot", generation, after)
        assert list(await channel.waiting_seconds()) == ["0001"]

    run(scenario)


def test_ranks_see_what_their_own_start_keeps_and_those_of_an_earlier_one_wait_no_longer():
    async def scenario(channel):
        await channel.store_set("slot", 1, "address", b"1111")
        outdated = asyncio.create_task(channel.store_get("slot", 1, ["address", "never"]))
        waiting = asyncio.create_task(channel.store_get("slot", 2, ["address"]))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await channel.store_set("slot", 2, "address", b"2222")
        assert await waiting == [b"2222"]
        with pytest.raises(ChannelError, match="is over"):
            await outdated
        await channel.store_set("slot", 1, "address", b"too late")
        assert await channel.store_get("slot", 2, ["address"]) == [b"2222"]
        assert await channel.store_has("slot", 2, ["address"])
        assert not await channel.store_has("slot", 2, ["address", "other"])
        assert [await channel.store_add("slot", 2, "ranks", 1) for _ in range(2)] == [1, 2]

    run(scenario)


def test_a_trial_is_not_blamed_for_what_ended_the_last_ones_workers():
    async def scenario(channel):
        generation, *_ = await start(channel)
        await channel.hand_over("slot", generation, message("0000", status="failed"))
        await channel.submit("slot", Task("0001", {}))
        await channel.note_failure("slot", 0, "DataError: trial 0000's", "Traceback")
        for _ in range(MAX_ATTEMPTS):
            generation, after = await channel.join("slot")
            await channel.next_task("slot", generation, after)
        await channel.join("slot")
        while (end := await channel.next_message("slot")).trial_id != "0001" or end.status is None:
            pass
        assert "DataError" not in end.reason

    run(scenario)


def test_workers_that_outlive_a_group_that_was_given_up_are_told_to_return():
    async def scenario(channel):
        generation, after = await channel.join("slot")
        waiting = asyncio.create_task(channel.next_task("slot", generation, after))
        await asyncio.sleep(0.01)
        while await channel.next_run("slot"):
            pass
        assert await waiting is None

    run(scenario)


def test_a_person_stops_a_trial_between_batches_and_its_workers_say_when_they_have():
    async def scenario(channel):
        generation, *_ = await start(channel)
        stop = asyncio.create_task(channel.should_stop("slot", generation))
        await channel.stop("0001", "stopped by request of alice")
        await asyncio.sleep(0.01)
        assert not stop.done()
        await channel.stop("0000", "stopped by request of alice")
        # Asked again, it changes nothing.
        await channel.stop("0000", "stopped by request of alice")
        assert await stop == "stopped by request of alice"
        ended = Message("0000", status="stopped", reason="stopped by request of alice")
        for _rank in range(2):
            assert await channel.hand_over("slot", generation, ended) is False
        await channel.submit("slot", Task("0001", {}))
        next_stop = asyncio.create_task(channel.should_stop("slot", generation))
        assert await channel.next_task("slot", generation, 1)
        await asyncio.sleep(0.01)
        assert not next_stop.done()

    run(scenario)


def test_a_stop_waits_for_the_verdict_on_an_epoch_and_yields_to_one_that_ends_the_trial():
    async def scenario(channel):
        generation, *_ = await start(channel)
        stop = asyncio.create_task(channel.should_stop("slot", generation))
        waiting = asyncio.create_task(channel.hand_over("slot", generation, message("0000")))
        assert (await channel.next_message("slot")).record
        await channel.stop("0000", "stopped by request")
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await channel.verdict("0000", False)
        assert await waiting is False
        # The scheduler has ended the trial: nobody waits for another end.
        assert await stop
        assert await channel.hand_over("slot", generation, message("0000", 2, status="stopped")) is False
        assert channel._slot("slot").inbox.empty()

    run(scenario)


@pytest.mark.parametrize("when", ["before workers took it", "as they die"])
def test_a_stop_of_a_trial_without_workers_ends_it_at_once(when):
    async def scenario(channel):
        if when == "as they die":
            await start(channel)
            await channel.stop("0000", "stopped by request")
            await channel.stopping("slot", 0, 0, "ended with exit code 3", "last words")
            assert (await channel.next_message("slot")).log.endswith("last words")
        else:
            await channel.submit("slot", Task("0000", {}, seconds=7.0))
            await channel.stop("0000", "stopped by request")
        end = await channel.next_message("slot")
        assert (end.trial_id, end.status, end.reason) == ("0000", "stopped", "stopped by request")
        assert end.seconds == pytest.approx(7.0 if when != "as they die" else 0.0, abs=1.0)
        # Workers that start now wait for the next trial.
        generation, after = await channel.join("slot")
        waiting = asyncio.create_task(channel.next_task("slot", generation, after))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await channel.submit("slot", Task("0001", {}))
        assert (await waiting)[1].trial_id == "0001"

    run(scenario)


@pytest.fixture
def clock():
    """Let the clock go again after a test that fails on hold."""
    yield
    release_clock()


def test_workers_wait_while_the_sweep_is_on_hold_and_no_time_counts(clock):
    async def scenario(channel):
        generation, *_ = await start(channel)
        await channel.submit("other", Task("0001", {}))
        begun = asyncio.create_task(channel.hold_begins("slot", generation))
        await asyncio.sleep(0.01)
        assert not begun.done()
        await channel.hold(True)
        await begun
        waits = [asyncio.create_task(channel.hold_ends("slot", generation)) for _rank in range(2)]
        before = await channel.seconds("0000"), await channel.waiting_seconds()
        await asyncio.sleep(0.05)
        assert not any(wait.done() for wait in waits)
        assert (await channel.seconds("0000"), await channel.waiting_seconds()) == before
        await channel.hold(False)
        await asyncio.gather(*waits)
        await channel.hold_ends("slot", generation)

    run(scenario)


def test_all_ranks_wait_for_the_end_of_the_same_hold(clock):
    async def scenario(channel):
        generation, *_ = await start(channel)
        await channel.hold(True)
        waits = [asyncio.create_task(channel.hold_ends("slot", generation)) for _rank in range(2)]
        await asyncio.sleep(0.01)
        # Asked for twice, it is one hold.
        await channel.hold(True)
        await asyncio.sleep(0.01)
        assert not any(wait.done() for wait in waits)
        await asyncio.gather(channel.hold(False), channel.hold(True))
        await asyncio.gather(*waits)
        again = asyncio.create_task(channel.hold_ends("slot", generation))
        await asyncio.sleep(0.01)
        assert not again.done()
        await channel.hold(False)
        await again

    run(scenario)


@pytest.mark.parametrize("end", ["stop", "interrupt", "join", "verdict"])
def test_a_trial_that_must_end_waits_no_longer_for_the_end_of_a_hold(clock, end):
    async def scenario(channel):
        generation, *_ = await start(channel)
        await channel.hold(True)
        waiting = asyncio.create_task(channel.hold_ends("slot", generation))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        arguments = {"stop": ("0000", "stopped by request"), "join": ("slot",), "verdict": ("0000", False)}
        await getattr(channel, end)(*arguments.get(end, ()))
        await waiting
        # Workers of a group that is over are not held up.
        if end == "join":
            await channel.hold_ends("slot", generation)

    run(scenario)
