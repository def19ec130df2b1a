"""Whether the network beats, ties with or loses to its baselines, in a word and in a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from goodfit.evaluation.bootstrap import Resampled, compare
from goodfit.records import FEWEST_UNITS, TOO_FEW, Comparison, Role, Verdict

WORDS = {1: "beats", 0: "ties with", -1: "loses to"}
Scores = Mapping[str, Resampled]


def verdict(
    score: str,
    mode: str,
    network: Scores,
    baselines: Mapping[str, tuple[Role, Scores]],
    *,
    unit: str = "sample",
    drawn: int | None = None,
    weighed_by: str | None = None,
    degenerate: str | None = None,
) -> Verdict:
    """The network against each baseline by one score; the words are about the strong one.

    `mode` is the direction, "max" or "min", in which the score improves. `baselines` holds role and
    scores of each by its title; exactly one is strong. `unit` is the word for what is independent
    in test: of fewer than FEWEST_UNITS, nothing is better or worse. Of units that do not weigh
    alike, `drawn` are there, which tell as much as fewer, and a column says so. `degenerate` is a
    sentence on a network that answers all alike.
    """
    too_few = _too_few(network[score].units, unit, drawn)
    against = []
    for title, (role, scores) in baselines.items():
        outcome, difference = compare(network[score], scores[score], mode)
        item = Comparison(title=title, role=role, outcome=outcome, difference=difference)
        against.append(replace(item, outcome=0) if too_few else item)

    strong = next(item for item in against if item.role == "strong")
    theirs = baselines[strong.title][1][score].interval
    relation = f"the network {WORDS[strong.outcome]} {strong.title}"
    if too_few:
        relation = f"{TOO_FEW} ({too_few}) whether the network is better than {strong.title}"
    said = [
        f"{relation}: {score} {network[score].interval.text()} against {theirs.text()}",
        f"better by {strong.difference.text(sign=True)}",
        *_also(against, strong, degenerate),
    ]
    if weighed_by:
        said.append(f"scores weigh rows by '{weighed_by}'")
    return Verdict(
        word=TOO_FEW if too_few else WORDS[strong.outcome],
        text="; ".join(said),
        against=tuple(against),
        worse_than_trivial=bool(_beaten_by(against)),
        too_few=too_few,
        degenerate=degenerate,
    )


def _also(
    against: Sequence[Comparison], strong: Comparison, degenerate: str | None
) -> Iterator[str]:
    """What is to be said beside the comparison with the strong baseline."""
    beaten_by = _beaten_by(against)
    if beaten_by:
        yield f"it is worse than {' and '.join(beaten_by)}"
    if degenerate:
        yield degenerate
    # test chooses nothing, so the verdict stays; that another one won is said
    lost_to = [item.title for item in against if item.role == "other" and item.outcome < 0]
    if lost_to and strong.outcome >= 0:
        yield f"it loses to {' and '.join(lost_to)}, weaker on validation"


def _beaten_by(against: Sequence[Comparison]) -> list[str]:
    """The trivial baselines that are better than the network."""
    return [item.title for item in against if item.role == "trivial" and item.outcome < 0]


def _too_few(units: int, unit: str, drawn: int | None) -> str | None:
    """How many independent units test has, and how many it takes; None where they suffice."""
    if units >= FEWEST_UNITS:
        return None
    there = units if drawn is None else drawn
    plural = "" if there == 1 else "s"
    told = f", by their weights worth {units}" if there != units else ""
    return f"test has {there} {unit}{plural}{told}, it takes {FEWEST_UNITS}"
