"""Whether the network beats, ties with or loses to its baselines, in a word and in a sentence."""

from __future__ import annotations

from collections.abc import Mapping

from goodfit.evaluation.bootstrap import Resampled, compare
from goodfit.records import Comparison, Role, Verdict

WORDS = {1: "beats", 0: "ties with", -1: "loses to"}
Scores = Mapping[str, Resampled]


def verdict(
    score: str, mode: str, network: Scores, baselines: Mapping[str, tuple[Role, Scores]]
) -> Verdict:
    """The network against each baseline by one score; the words are about the strong one.

    `mode` is the direction, "max" or "min", in which the score improves. `baselines` holds role and
    scores of each by its title; exactly one is strong.
    """
    against = []
    for title, (role, scores) in baselines.items():
        outcome, difference = compare(network[score], scores[score], mode)
        against.append(Comparison(title=title, role=role, outcome=outcome, difference=difference))

    strong = next(item for item in against if item.role == "strong")
    theirs = baselines[strong.title][1][score].interval
    text = (
        f"the network {WORDS[strong.outcome]} {strong.title}: "
        f"{score} {network[score].interval.text()} against {theirs.text()}; "
        f"better by {strong.difference.text(sign=True)}"
    )
    beaten_by = [item.title for item in against if item.role == "trivial" and item.outcome < 0]
    if beaten_by:
        text += f"; it is worse than {' and '.join(beaten_by)}"
    # test chooses nothing, so the verdict stays; that another one won is said
    lost_to = [item.title for item in against if item.role == "other" and item.outcome < 0]
    if lost_to and strong.outcome >= 0:
        text += f"; it loses to {' and '.join(lost_to)}, weaker on validation"
    return Verdict(
        word=WORDS[strong.outcome],
        text=text,
        against=tuple(against),
        worse_than_trivial=bool(beaten_by),
    )
