"""An experiment on somebody's own data: looked at, explained, written, pinned; nothing is guessed
in silence.
"""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from goodfit.config import experiment_file
from goodfit.config.experiment_file import ExperimentFile
from goodfit.config.values import check_value
from goodfit.errors import UserError
from goodfit.stages import own, own_source
from goodfit.system.names import check_experiment

_USAGE = """\
python pipelines/new.py name=<name> source=<file> target=<column> [<option>=<value> ...]
python pipelines/new.py name=<name> source=<file> time=<column> target=<column> horizon=<steps>
python pipelines/new.py name=<name> source=<folder or archive of images or sounds>
python pipelines/new.py name=<name> source=<file> image=<column> target=<column> folder=<folder>

Options are those of conf/data/table.yaml, such as kind=class, drop=[id,note], group=patient,
columns.zip=category, 'columns={"Order Date": day_first}', time=day, weight=persons, sheet=2024;
text=<column> has the target told by that column's texts alone (conf/data/texts.yaml).
columns.note=text reads texts beside the others, columns.photo=image images, of folder=
(conf/data/mixed.yaml). With horizon=, a row is a step of a series (conf/data/series.yaml). In a
folder, each sub-folder is a class (conf/data/images.yaml, sounds.yaml). With image= or sound=, a
column names files (conf/data/named_images.yaml, named_sounds.yaml). split=<file> with
assigned=<column> takes the split from a file that has that column, and beside it one called split.
With an experiment of that name, it shows what would change; replace=true writes it."""


def main() -> int:
    """Looks at the data that the command line names, and writes an experiment for them.

    Raises:
        UserError: they are not there or cannot be read, or they leave something open.
    """
    content, here = own.words(_USAGE)
    name, replace = content.pop("name", None), content.pop("replace", False)
    check_value("replace", bool, replace)
    if name is None:
        raise UserError(f"name=... is missing\n{_USAGE}")
    check_experiment(str(name))
    looked = own_source.look_at(content, here, _USAGE)(str(name), content, here, _USAGE)
    console = Console()
    console.print(looked.printed)
    for line in looked.told:
        console.print(line, highlight=False, soft_wrap=True)
    for line in looked.notes:
        console.print(f"[yellow]note[/]    {escape(line)}", highlight=False, soft_wrap=True)
    try:
        return _write(looked.file, console, replace=replace)
    except OSError as error:
        raise UserError(f"{error.filename} cannot be written: {error.strerror}") from None


def _write(file: ExperimentFile, console: Console, *, replace: bool) -> int:
    """Writes the experiment and its line in params.yaml, or shows what would change."""
    if file.path.exists() and not replace:
        difference = file.difference()
        if difference:
            console.print(f"\n{file.path} is there; this would change:", highlight=False)
            for line in difference:
                console.print(escape(line), highlight=False, soft_wrap=True)
            console.print("replace=true writes it", highlight=False)
            return 0
        console.print(f"\n{file.path} is there, and says just this", highlight=False)
    else:
        file.write()
        console.print(f"\nwrote {file.path}", highlight=False)
    if experiment_file.add_to_params(file.name):
        console.print("added it to params.yaml", highlight=False)
    console.print(f"next: make repro ONLY={file.name}", highlight=False)
    return 0
