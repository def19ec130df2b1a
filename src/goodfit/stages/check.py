"""What in somebody's own data makes a score mislead, before anything is made of it."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from goodfit.data.label_noise import label_noise
from goodfit.stages import own, own_source, own_table
from goodfit.stages.own_table import OwnTable

_USAGE = """\
python pipelines/check.py source=<file> target=<column> [<option>=<value> ...]
python pipelines/check.py source=<folder or archive of images or sounds>

Looks in a table for columns that give the target away, copies and near copies in train and test,
torn groups, splits that differ, also in what is missing, an order in time that a random split
hides, constants, numbers and times far off, and labels that look wrong; in other data for what
new.py says of them. Options are those of new.py: kind=class, drop=[id], group=patient, time=day."""


def main() -> int:
    """Prints each finding with what it costs to ignore it, and what answers it.

    Raises:
        UserError: the file is not there or cannot be read, or it leaves something open.
    """
    content, here = own.words(_USAGE)
    for key in ("name", "replace"):  # of new.py, whose command this may be made of
        content.pop(key, None)
    look, console = own_source.look_at(content, here, _USAGE), Console()
    if look is own_table.looked:
        return _check_rows(own_table.opened(own_table.given(content, here, _USAGE)), console)
    looked = look("checked", content, here, _USAGE)
    console.print(looked.printed)
    for number, note in enumerate(looked.notes, 1):
        console.print(f"[bold]{number}.[/] {escape(note)}", highlight=False, soft_wrap=True)
    console.print(_counted(len(looked.notes)), highlight=False)
    return 0


def _check_rows(table: OwnTable, console: Console) -> int:
    """The findings of a table, each with the rows of the file that it is about."""
    columns = list(table.spec.facts["columns"])
    found = list(table.table.findings(table.rows, table.names))
    found += label_noise(table.rows, table.table.label, columns) if columns else []
    lines = table.cells.index + table.cells.attrs.get("first_row", 2)
    for number, finding in enumerate(found, 1):
        console.print(f"[bold]{number}. {escape(finding.what)}[/]", highlight=False, soft_wrap=True)
        if finding.rows:
            rows = finding.listed(lambda row: lines[row - 1])
            console.print(f"   rows of the file: {rows}", highlight=False)
        for word, text in (("if ignored", finding.cost), ("answer", finding.answer)):
            console.print(f"   {word}: {escape(text)}", highlight=False, soft_wrap=True)
    few = [escape(note) for note in own_table.few(table)]
    for line in [*own.weighed(table.table.weight, table.rows, table.names), *few]:
        console.print(line, highlight=False, soft_wrap=True)
    rows = f"{len(table.rows):,} rows, {len(columns)} columns"
    console.print(f"{rows}: {_counted(len(found))}", highlight=False)
    return 0


def _counted(findings: int) -> str:
    return f"{findings or 'no'} finding{'s' * (findings != 1)}"
