"""Notes on the trials that were repeated with further seeds: their means, the gain, failures, and the race."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from segray import text
from segray.records import FAILURES
from segray.results.race import CLEAR, Contestant
from segray.results.sweep import SweepResults
from segray.storage import BASELINE_ID


def repeats(results: SweepResults) -> Iterator[str]:
    """Yield the means and ranges of the repeats, and of the gain, in one line."""
    found = results.confirmation()
    if found is None:
        return
    objective = results.info.objective
    named = {f"trial {found.trial}": found.best, results.info.baseline_name: found.baseline}
    figures = [
        f"{name} {objective.shown(spread.mean)} ({objective.shown_range(spread.low, spread.high)})"
        for name, spread in named.items()
        if spread is not None
    ]
    if found.gain is not None:
        gain = found.gain
        spread = objective.shown_difference_range(gain.low, gain.high)
        figures.append(f"gain {objective.shown_difference(gain.mean)} ({spread})")
    yield f"Repeated with {found.counted_seeds}, {text.counted(found.epochs, 'epoch')}: {', '.join(figures)}."


def overlap(results: SweepResults) -> Iterator[str]:
    """Yield that the gain over the baseline may be chance, where the repeats of both overlap."""
    found = results.confirmation()
    if found is not None and found.overlaps and found.baseline is not None:
        objective = results.info.objective
        worst = min(found.best.values, key=objective.rank)
        best = max(found.baseline.values, key=objective.rank)
        above = "above" if objective.direction == "maximize" else "below"
        yield (
            f"The spread overlaps: the worst repeat of trial {found.trial} ({objective.shown(worst)}) is not {above} "
            f"the best of {results.info.baseline_name} ({objective.shown(best)}), so the gain may be chance."
        )


def shorter_baseline(results: SweepResults) -> Iterator[str]:
    """Yield what the baseline scored in the search, if its repeats train for fewer epochs than it did there."""
    found, baseline = results.confirmation(), results.first_trial()
    if found is None or found.baseline is None or baseline is None:
        return
    # With fewer epochs than it had in the search, the baseline may look weaker than it is.
    if baseline["outcome"] == "finished" and baseline["train.epochs"] > found.epochs:
        yield (
            f"Repeats train as long as the best trial: {text.counted(found.epochs, 'epoch')}. In the search, "
            f"{results.info.baseline_name} trained for {baseline['train.epochs']} and reached "
            f"{results.info.objective.shown(baseline[results.info.objective.column])} in a single run."
        )


def num_failed_repeats(results: SweepResults) -> Mapping[str, int]:
    """Return id of the repeated trial -> number of its repeats that failed, without trials that have none."""
    compared = results.raced_repeats
    # No scheduler stops a repeat: --trial-timeout or a person did, before it trained as long as the others.
    counts = compared["trial"][compared["outcome"].isin((*FAILURES, "stopped"))].value_counts(sort=False)
    return {str(trial): int(count) for trial, count in counts.items()}


def failed_repeats(results: SweepResults) -> Iterator[str]:
    """Yield whose repeats failed, and what follows from that."""
    counts = num_failed_repeats(results)
    if not counts:
        return
    failed = [f"{text.counted(count, 'repeat')} of {_name(results, trial)}" for trial, count in counts.items()]
    found, outcomes = results.race, results.raced_repeats["outcome"]
    is_compared = results.confirmation() or (found is not None and len(found.contestants) > 1)
    effect = "and did not count" if is_compared else "so no seed is left to compare them by"
    ended = "failed or were stopped" if outcomes.eq("stopped").any() else "failed"
    unsound = " A trial that diverges with another seed counts as worse than the others."
    yield f"{' and '.join(failed)} {ended}, {effect}.{unsound if outcomes.eq('diverged').any() else ''}"


def _name(results: SweepResults, trial: str) -> str:
    return results.info.baseline_name if trial == BASELINE_ID else f"trial {trial}"


def race(results: SweepResults) -> Iterator[str]:
    """Yield the contestants of a race over further seeds, and which of them to use."""
    found, best = results.race, results.best_trial()
    if found is None or best is None:
        return
    # Of two, the line of the repeats tells as much.
    if len(found.contestants) > 2:
        standings = ", ".join(_standing(results, contestant) for contestant in found.contestants)
        yield f"Over further seeds (mean, 95 % interval, probability of being the best): {standings}."
    winner = found.winner
    if winner is None or winner.chance is None:
        return
    name = _name(results, winner.trial)
    place = (
        f"{name} is the best of {len(found.contestants)} trials over "
        f"{text.counted(len(winner.seeds), 'further seed')} with probability {_probability(winner.chance)}."
    )
    # The best model of a run stays that of the best single run, so that no command changes its answer by itself.
    if winner.trial != best["id"] and results.state != "running":
        place = f"Use {name}, by --trial {winner.trial}, rather than trial {best['id']}, the search's best: {place}"
    yield place[0].upper() + place[1:]
    if winner.chance < CLEAR and results.state != "running":
        yield "The race is not clear: more seeds would tell (segray confirm RUN --seeds N)."


def _standing(results: SweepResults, contestant: Contestant) -> str:
    objective, bounds = results.info.objective, contestant.interval
    known = [
        *([objective.shown_range(*bounds)] if bounds else []),
        text.counted(len(contestant.seeds), "seed"),
        *([_probability(contestant.chance)] if contestant.chance is not None else []),
    ]
    return f"{_name(results, contestant.trial)} {objective.shown(contestant.scores.mean)} ({', '.join(known)})"


def _probability(chance: float) -> str:
    if 0.01 <= chance <= 0.99:
        return f"{chance:.2f}"
    return "below 0.01" if chance < 0.01 else "above 0.99"
