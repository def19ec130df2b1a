"""docs/own-data.md shows what the commands print of planted faults, of a table and a folder."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import every_fault
import pytest
import repository
import tiny

BLOCK = re.compile(r"```\n(.*?)```", re.DOTALL)


def shown() -> dict[str, list[str]]:
    """The lines below each command of the section; of the last block, which has none, below ''."""
    text = (tiny.ROOT / "docs/own-data.md").read_text()
    section = text.split("## Every fault at once", 1)[1].split("\n## ", 1)[0]
    blocks = {}
    for block in BLOCK.findall(section):
        command, _, rest = (
            block.removeprefix("$ ").partition("\n") if block[0] == "$" else ("", "", block)
        )
        blocks[command] = written(rest)
    return blocks


def written(text: str) -> list[str]:
    """The lines of a text that are not empty, without spaces at their ends."""
    return [line.rstrip() for line in text.splitlines() if line.strip()]


@pytest.mark.slow
def test_the_document_shows_what_is_printed_of_planted_faults(tmp_path: Path) -> None:
    home = tmp_path / "me"
    home.mkdir()
    every_fault.customers(home / "customers.csv", mended=False)
    every_fault.customers(home / "mended.csv", mended=True)
    every_fault.photos(home / "photos")
    project = repository.make(tmp_path / "project")
    environment = {**project.env, "HOME": str(home), "COLUMNS": "118"}

    def printed(*words: str) -> list[str]:
        command = [sys.executable, *(word.replace("~", str(home)) for word in words)]
        done = subprocess.run(
            command, cwd=project.path, env=environment, capture_output=True, text=True, check=False
        )
        return written((done.stdout + done.stderr).replace(str(home), "/home/me"))

    for command, expected in shown().items():
        if command:
            told = printed(*command.split()[1:])
        else:
            printed("pipelines/compose.py", "photos")
            printed("pipelines/fetch.py", "build/photos.json")
            told = printed("pipelines/prepare.py", "build/photos.json")
        if expected[-1] == "...":
            expected.pop()
            told = told[: len(expected)]
        assert told == expected, command
