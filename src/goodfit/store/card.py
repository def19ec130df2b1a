"""What the manifest says of prepared data, in words: the page shows it, a run carries it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from goodfit.data.split import SPLITS
from goodfit.records import ColumnRead, Finding, Manifest
from goodfit.system.units import counted, share

_MOST_ROWS = 100  # of files that were left out
_MOST_CLASSES = 30  # of which a card has the samples of each
_OPEN = 12  # rows of a table that is not folded up


class Part(NamedTuple):
    """A title with a sentence, with a list, or with a table of `header` and `rows`.

    Of a table the sentence is the summary; of one of numbers all columns but the first are some.
    """

    title: str
    text: str = ""
    items: Sequence[str] = ()
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    of_numbers: bool = False

    @property
    def is_open(self) -> bool:
        """Whether a reader sees the table without asking for it."""
        return self.of_numbers and len(self.rows) <= _OPEN


def parts(manifest: Manifest) -> Iterator[Part]:
    """How the splits were made, what is missing, what may mislead, how columns were read."""
    yield Part("Split", manifest.split)
    if manifest.findings:
        yield Part("What may mislead", items=[_finding(each) for each in manifest.findings])
    if any(manifest.missing.values()):
        yield _missing(manifest)
    if manifest.columns:
        yield _columns(manifest)
    if manifest.left_out:
        yield _left_out(manifest)
    yield Part("Copies", _copies(manifest))
    alike = f"{manifest.alike_after_encoding:,} test samples"
    yield Part(
        "Alike to the network", f"{alike} become exactly a train sample's inputs by encoding"
    )
    if manifest.in_no_split:
        yield Part(
            "In no split",
            f"{manifest.in_no_split:,} samples: a border between splits runs through them, or "
            "their split has no use for them",
        )


def markdown(name: str, manifest: Manifest) -> str:
    """The data card of an experiment: its sources, its samples, and all `parts`."""
    sources = Part(
        "Sources", header=("source", "SHA-256"), rows=sorted(manifest.raw_sha256.items())
    )
    written = [f"# Data of {name}", f"Prepared as {manifest.sha256}."]
    for part in (sources, _samples(manifest), *parts(manifest)):
        written.append(f"## {part.title}")
        written += [_escaped(part.text)] if part.text else []
        written += ["\n".join(f"- {_escaped(item)}" for item in part.items)] if part.items else []
        written += [_table(part)] if part.rows else []
    return "\n\n".join(written) + "\n"


def _samples(manifest: Manifest) -> Part:
    """The samples of each split, in all and by class."""
    totals = [manifest.samples(split) for split in SPLITS]
    classes = dict.fromkeys(name for counts in manifest.counts.values() for name in counts)
    rows = [("all", *(f"{total:,}" for total in totals))]
    for name in classes if 1 < len(classes) <= _MOST_CLASSES else ():
        counts = [manifest.counts[split].get(name, 0) for split in SPLITS]
        rows.append((name, *_shares(counts, totals)))
    return Part("Samples", header=("", *SPLITS), rows=rows, of_numbers=True)


def _missing(manifest: Manifest) -> Part:
    """The columns that lack cells, those that lack most first."""
    counts: dict[str, list[int]] = {}
    for place, split in enumerate(SPLITS):
        for name, count in manifest.missing[split].items():
            counts.setdefault(name, [0] * len(SPLITS))[place] = count
    totals = [manifest.samples(split) for split in SPLITS]
    most_first = sorted(counts.items(), key=lambda item: -sum(item[1]))
    return Part(
        "Missing cells",
        f"in {len(counts)} of the columns that are inputs",
        header=("column", *SPLITS),
        rows=[(name, *_shares(of_splits, totals)) for name, of_splits in most_first],
        of_numbers=True,
    )


def _columns(manifest: Manifest) -> Part:
    """What each column of a table was read as."""
    left_out = sum(column.read_as is None for column in manifest.columns)
    return Part(
        "Columns",
        f"what each of {len(manifest.columns)} is read as"
        + (f"; {left_out} left out" if left_out else ""),
        header=("column", "read as", "why"),
        rows=[(each.name, each.read_as or "left out", _reason(each)) for each in manifest.columns],
    )


def _reason(column: ColumnRead) -> str:
    """Why a column is read so, and how it would be read otherwise."""
    return f"{column.why}; otherwise: {column.otherwise}" if column.otherwise else column.why


def _left_out(manifest: Manifest) -> Part:
    """The first files that cannot be used, and why."""
    count = len(manifest.left_out)
    more = f"; the first {_MOST_ROWS}, all are in the manifest" if count > _MOST_ROWS else ""
    return Part(
        "Left out",
        f"{counted(count, 'file')} that cannot be used{more}",
        header=("file", "what is wrong with it"),
        rows=list(manifest.left_out.items())[:_MOST_ROWS],
    )


def _copies(manifest: Manifest) -> str:
    copies = manifest.copies
    if copies.rows is None:
        return "not looked for: windows of a series overlap by design, and the split is in time"
    near = f", {copies.near:,} nearly do" if copies.near else ""
    repeat = "row repeats" if copies.rows == 1 else "rows repeat"
    nowhere = ", or are in no split" if manifest.in_no_split else ""
    places = f"all copies fall on one side of the split{nowhere}"
    if copies.apart:
        places = "they are cases that happen to agree (data.equal_rows=apart), split like others"
    return (
        f"{copies.rows:,} {repeat} the inputs of another ({copies.with_another_target:,} with "
        f"another target){near}; {places}"
    )


def _finding(finding: Finding) -> str:
    rows = f" (rows {finding.listed()})" if finding.rows else ""
    return f"{finding.what}{rows}; if ignored, {finding.cost}. Answer: {finding.answer}"


def _shares(counts: Sequence[int], totals: Sequence[int]) -> list[str]:
    """Counts with what they are of the totals, both of the same splits."""
    pairs = zip(counts, totals, strict=True)
    return [f"{count:,} ({share(count, total)})" for count, total in pairs]


def _table(part: Part) -> str:
    """The table in Markdown."""
    line = ["---", *(["--:" if part.of_numbers else "---"] * (len(part.header) - 1))]
    lines = [part.header, line, *(list(map(_escaped, row)) for row in part.rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _escaped(text: str) -> str:
    """A text of somebody's data that is no Markdown and no HTML, in one line."""
    for sign in "\\`*_<>|[]":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
