"""The winner of a sweep, confirmed with seeds that no trial has seen.

The best trials and the values from before the sweep are trained again with several seeds, as long
as the experiment itself trains; of those that tie with the best, the smallest network wins.
Docs: docs/decisions/0011-winners-of-sweeps.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from goodfit.search import length, tuned
from goodfit.search.candidate import Candidate, interval

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from hydra_plugins.hydra_optuna_sweeper._sweep import Sweep

    OnEnd = Callable[[optuna.Study, FrozenTrial], None]


def confirm(
    study: optuna.Study, sweep: Sweep, *, top: int, seeds: int, on_end: OnEnd | None = None
) -> list[str]:
    """Trains the best trials again and writes the winner's values; gives the lines of a summary.

    Seeds are seed + 1, ..., seed + `seeds`, which leaves out the one that the trials were chosen
    by: it may have favoured them.
    """
    maximize = study.direction.name == "MAXIMIZE"
    fixed = tuple(override for override in sweep.space.fixed if not tuned.is_learned(override))
    own_length = length.own(sweep)
    candidates = []
    for candidate in [Candidate(None, fixed), *_best(study, top, maximize=maximize)]:
        candidates.append(replace(candidate, overrides=own_length.apply(candidate.overrides)))

    seed_values = [int(sweep.config.seed) + offset for offset in range(1, seeds + 1)]
    print(f"{len(candidates)} configurations are trained again with seeds {seed_values}")
    if own_length.own:
        print(own_length)
    sys.stdout.flush()

    measured = _train_again(study, sweep, candidates, seed_values, on_end)
    if not measured:
        return ["no configuration could be trained again with every seed; nothing is written"]
    winner, tied = choose(measured, maximize=maximize)

    lines = [
        f"validation over seeds {seed_values[0]} to {seed_values[-1]}, mean and 95 % interval:"
    ]
    if own_length.own:
        lines.append(str(own_length))
    lines += [f"- {candidate}: {_outcome(candidate, winner, tied)}" for candidate in measured]
    if winner.trial is None:
        lines.append(
            "the values before the sweep stand: no smaller or better network was found; "
            "nothing is written"
        )
    else:
        before = next((candidate for candidate in measured if candidate.trial is None), None)
        lines.append(tuned.save(study, sweep, winner, before, seed_values))
    return lines


def choose(measured: Sequence[Candidate], *, maximize: bool) -> tuple[Candidate, list[Candidate]]:
    """The smallest network of those that tie with the best mean, and all that tie.

    A candidate ties if the 95 % t-interval of its difference from the best, paired by seed, holds
    zero (Student 1908), and its mean lies in the interval of the best. Without the second rule, a
    wide spread of its own would make it tie with everything.
    """
    sign = 1.0 if maximize else -1.0
    best = max(measured, key=lambda candidate: sign * candidate.mean)
    best_interval = interval(best.scores)

    tied = []
    for candidate in measured:
        pairs = zip(best.scores, candidate.scores, strict=True)
        difference = interval([best_score - score for best_score, score in pairs])
        if _contains(best_interval, candidate.mean) and _contains(difference, 0.0):
            tied.append(candidate)
    winner = min(tied, key=lambda candidate: (candidate.parameters, -sign * candidate.mean))
    return winner, tied


def _best(study: optuna.Study, top: int, *, maximize: bool) -> list[Candidate]:
    """The `top` best trials with different overrides."""
    trials = study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
    best_first = sorted(complete, key=lambda trial: trial.values[0], reverse=maximize)

    distinct: dict[tuple[str, ...], FrozenTrial] = {}
    for trial in best_first:
        # of equal overrides the best trial
        distinct.setdefault(tuple(trial.user_attrs["overrides"]), trial)
    candidates = [Candidate(trial.number, overrides) for overrides, trial in distinct.items()]
    return candidates[:top]


def _train_again(
    study: optuna.Study,
    sweep: Sweep,
    candidates: Sequence[Candidate],
    seeds: Sequence[int],
    on_end: OnEnd | None,
) -> list[Candidate]:
    """The candidates with a score for each seed; without those that fail with some seed."""
    from hydra_plugins.hydra_optuna_sweeper._space import JobList

    # by default twenty: three trials and the values before, with five seeds each
    rows = [[*candidate.overrides, f"seed={seed}"] for candidate in candidates for seed in seeds]

    def report(repetition: optuna.Study, trial: FrozenTrial) -> None:
        row = JobList.row_of(trial)
        if row is not None:
            candidate_index, seed_index = divmod(row, len(seeds))
            name = candidates[candidate_index].name
            result = f"{trial.values[0]:.6g}" if trial.values else trial.state.name.lower()
            print(f"{name}, seed {seeds[seed_index]}: {result}", flush=True)
        if on_end:
            on_end(repetition, trial)

    trials = sweep.repeat(study, rows, report)
    measured = []
    for index, candidate in enumerate(candidates):
        own = trials[index * len(seeds) : (index + 1) * len(seeds)]
        if any(trial.state.name != "COMPLETE" for trial in own):
            continue
        scores = tuple(trial.values[0] for trial in own)
        parameters = own[0].user_attrs["parameters"]
        measured.append(replace(candidate, scores=scores, parameters=parameters))
    return measured


def _outcome(candidate: Candidate, winner: Candidate, tied: Sequence[Candidate]) -> str:
    if candidate is winner:
        return "chosen, the smallest of those that tie"
    return "ties" if candidate in tied else "worse"


def _contains(bounds: tuple[float, float], value: float) -> bool:
    return bounds[0] <= value <= bounds[1]
