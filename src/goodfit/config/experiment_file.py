"""An experiment's file of conf/experiment, as a person would have written it; its line in
params.yaml.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from goodfit.config import params
from goodfit.errors import UserError
from goodfit.system.files import replacing_file

_WIDTH = 10_000  # of a value, which stays on its line


@dataclass(frozen=True)
class ExperimentFile:
    """What an experiment has of its own: a sentence, its choices of groups, and values by section.

    A choice of several, such as baselines, is a list.
    """

    name: str
    about: str
    choices: Mapping[str, str | list[str]]
    sections: Mapping[str, Mapping[str, Any]]

    @property
    def path(self) -> Path:
        """Where it lies in the repository."""
        return Path("conf/experiment") / f"{self.name}.yaml"

    def text(self) -> str:
        """The YAML."""
        lines = ["# @package _global_", f"# {' '.join(self.about.split())}", "defaults:"]
        lines += [
            f"  - override /{group}: {_value(choice)}" for group, choice in self.choices.items()
        ]
        lines += ["", f"name: {self.name}"]
        for section, values in self.sections.items():
            inline = f"{section}: {_value(values)}"
            if section != "data":
                lines.append(inline)
                continue
            lines.append(f"{section}:")
            lines += [f"  {key}: {_value(value)}" for key, value in values.items()]
        return "\n".join(lines) + "\n"

    def difference(self) -> list[str]:
        """Lines that differ from those of the file that is there; none where it is the same."""
        before = self.path.read_text().splitlines()
        after = self.text().splitlines()
        return list(difflib.unified_diff(before, after, "now", "new", n=0, lineterm=""))[2:]

    def write(self) -> None:
        """The file, whole or not at all."""
        with replacing_file(self.path) as part:
            part.write_text(self.text())


def add_to_params(name: str) -> bool:
    """Adds an experiment to those of params.yaml; False where it is among them.

    Only its line is new: comments stay.

    Raises:
        UserError: params.yaml lists no experiments in lines of their own.
    """
    listed = params.experiments()
    if name in listed:
        return False
    lines = params.PARAMS.read_text().splitlines(keepends=True)
    last_of_all = f"- {listed[-1]}" if listed else None
    # a comment may stand behind it
    stripped = [line.partition(" #")[0].strip() for line in lines]
    places = [place for place, line in enumerate(stripped) if line == last_of_all]
    if len(places) != 1:
        raise UserError(f"{params.PARAMS}: add '{name}' to its experiments by hand")
    last = lines[places[0]]
    indent = last[: len(last) - len(last.lstrip())]
    lines[places[0]] = last.rstrip("\n") + "\n"
    lines.insert(places[0] + 1, f"{indent}- {name}\n")
    text = "".join(lines)
    if yaml.safe_load(text)["experiments"] != [*listed, name]:
        raise UserError(f"{params.PARAMS}: add '{name}' to its experiments by hand")
    with replacing_file(params.PARAMS) as part:
        part.write_text(text)
    return True


def _value(value: Any) -> str:
    """YAML in one line."""
    text = yaml.safe_dump(
        value, default_flow_style=True, width=_WIDTH, allow_unicode=True, sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("\n...").strip()
