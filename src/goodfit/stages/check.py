"""What in somebody's own table makes a score mislead, before anything is made of it."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from goodfit.data.label_noise import label_noise
from goodfit.stages import own, own_table

_USAGE = """\
python pipelines/check.py source=<file> target=<column> [<option>=<value> ...]

Looks for columns that give the target away, copies and near copies in train and test, torn groups,
splits that differ, also in what is missing, an order in time that a random split hides, constants,
numbers and times far off, and labels that look wrong. Options are those of conf/data/table.yaml,
such as kind=class, drop=[id], group=patient, time=day, and split=<file> of new.py."""


def main() -> int:
    """Prints each finding with what it costs to ignore it, and what answers it.

    Raises:
        UserError: the file is not there or cannot be read, or it leaves something open.
    """
    content, here = own.words(_USAGE)
    table = own_table.opened(own_table.given(content, here, _USAGE))
    found = list(table.table.findings(table.rows, table.names))
    found += label_noise(table.rows, table.table.label, list(table.spec.facts["columns"]))

    console = Console()
    for number, finding in enumerate(found, 1):
        console.print(f"[bold]{number}. {escape(finding.what)}[/]", highlight=False, soft_wrap=True)
        if finding.rows:
            first = table.cells.attrs.get("first_row", 2)
            lines = [str(table.cells.index[row - 1] + first) for row in finding.rows]
            console.print(f"   rows of the file: {', '.join(lines)}, ...", highlight=False)
        for word, text in (("if ignored", finding.cost), ("answer", finding.answer)):
            console.print(f"   {word}: {escape(text)}", highlight=False, soft_wrap=True)
    count = f"{len(table.rows):,} rows, {len(table.spec.facts['columns'])} columns"
    console.print(f"{count}: {len(found) or 'no'} findings", highlight=False)
    return 0
