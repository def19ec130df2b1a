"""The sentences about a learning curve: a terminal, MLflow and a page say the same."""

from __future__ import annotations

from collections.abc import Iterator

from goodfit.records import FEWEST_UNITS
from goodfit.records.curve import HeldOut, LearningCurve, MethodCurve
from goodfit.records.interval import Interval
from goodfit.system.units import counted, fixed


def lines(found: LearningCurve) -> list[str]:
    """The table and the sentences, for a terminal."""
    return [*_table(found), "", *told(found), "", *counts(found)]


def told(found: LearningCurve) -> list[str]:
    """What twice the data would bring, where the network overtakes, and how far to trust it."""
    said = [_doubling(found, method) for method in (found.network, found.strong)]
    said.append(_overtakes(found))
    for method in (found.network, found.strong):
        said += [_foretold(found, method, held_out) for held_out in method.held_out]
    return said


def counts(found: LearningCurve) -> list[str]:
    """What the intervals count, and what they do not."""
    drawn = "the latest of train" if found.latest else "drawn anew by each seed"
    return [
        f"  shares are whole units (each a {found.unit}), {drawn}, the smaller one in the larger; "
        "each training has as many optimizer steps as all of train",
        f"  95 % intervals count {counted(len(found.seeds), 'seed')} and validation's "
        f"{counted(found.held_out, 'independent unit')}; {_laws(found)}",
        "  each training chose its epoch, and each baseline its options, on the samples that they "
        "are scored on; test is unseen",
    ]


def _table(found: LearningCurve) -> Iterator[str]:
    """A row for each size: the mean score of each method with its interval."""
    titles = [method.title for method in found.methods]
    columns = [list(map(Interval.text, method.means)) for method in found.methods]
    widths = [
        max(len(title), *map(len, column)) for title, column in zip(titles, columns, strict=True)
    ]
    heads = "  ".join(f"{title:<{width}}" for title, width in zip(titles, widths, strict=True))
    yield f"{'share':>6} {'samples':>8}  {heads}".rstrip()
    for index, size in enumerate(found.sizes):
        cells = "  ".join(
            f"{column[index]:<{width}}" for column, width in zip(columns, widths, strict=True)
        )
        yield f"{_percent(size.share):>6} {size.samples:>8,.0f}  {cells}".rstrip()
    seeds = counted(len(found.seeds), "seed")
    yield f"  {found.score} on validation, mean and 95 % interval of {seeds}"


def _doubling(found: LearningCurve, method: MethodCurve) -> str:
    """What twice the data would bring to a method."""
    whole = found.doubled / 2
    title = _named(found, method)
    what = f"{title}: with {found.doubled:,.0f} samples, twice those of train,"
    expected = f"{found.score} {method.doubled.text()} is expected"
    if not method.tells:
        return (
            f"{what} {expected}, which is too wide to say anything; more seeds, or validation of "
            f"more than {counted(found.held_out, 'independent unit')}, would narrow it."
        )
    now = f", where {whole:,.0f} have {method.means[-1].text()}" if _is_whole(found) else ""
    return f"{what} {expected}{now}: {_gain(method.gain)}."


def _gain(gain: Interval) -> str:
    text = gain.text(sign=True)
    if gain.low <= 0:
        return f"better by {text}, so it may bring nothing"
    return f"better by {text}"


def _overtakes(found: LearningCurve) -> str:
    """From which size on the network is better than the strong baseline beyond chance."""
    strong, last = found.strong.title, found.differences[-1]
    if found.held_out < FEWEST_UNITS:
        return (
            f"Whether the network overtakes {strong} cannot be told: validation has "
            f"{counted(found.held_out, 'independent unit')}, it takes {FEWEST_UNITS}."
        )
    ahead = [difference.low > 0 for difference in found.differences]
    at_most = f"at {found.sizes[-1].samples:,.0f} samples"
    by = f"better by {last.text(sign=True)}"
    if not ahead[-1]:
        word = "it loses" if last.high < 0 else "they are statistically tied"
        early = ", though it was ahead with fewer" if any(ahead) else ""
        return (
            f"The network does not overtake {strong} within what was seen: {at_most} {word} "
            f"({by}){early}."
        )
    first = max((index + 1 for index, each in enumerate(ahead) if not each), default=0)
    if first == 0:
        return f"The network is ahead of {strong} at all sizes, {at_most} {by}."
    before, since = found.sizes[first - 1], found.sizes[first]
    return (
        f"The network overtakes {strong} between {before.samples:,.0f} and {since.samples:,.0f} "
        f"samples: from there on it is better beyond chance, {at_most} {by}."
    )


def _foretold(found: LearningCurve, method: MethodCurve, held_out: HeldOut) -> str:
    """Whether the smaller sizes foretold a larger one."""
    decimals = held_out.predicted.decimals
    outcome = "covered" if held_out.covered else "NOT covered"
    return (
        f"{_named(found, method)}, held out {_percent(held_out.size.share)}: predicted "
        f"{held_out.predicted.text()}, was {fixed(held_out.measured, decimals)}: {outcome}."
    )


def _laws(found: LearningCurve) -> str:
    """The power laws, and which of them do not fit."""
    said = "the error falls as a + b n^-c"
    broken = [method.title for method in found.methods if not method.fits]
    if not broken:
        return said
    return f"{said}, which the means of {' and '.join(broken)} do not follow: wider for that"


def _named(found: LearningCurve, method: MethodCurve) -> str:
    return "The network" if method is found.network else method.title


def _is_whole(found: LearningCurve) -> bool:
    """Whether the largest size is all of train."""
    return found.sizes[-1].share == 1


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
