"""Overrides before Hydra reads them: the files that they name, how to write a value in one."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from hydra._internal.utils import get_args_parser
from hydra.core.override_parser.types import Quote, QuotedString

from goodfit.config import read
from goodfit.errors import UserError
from goodfit.system.names import check_experiment

# groups whose files set keys of the whole configuration
_GLOBAL = ("experiment", "search", "size", "tuned")
_PACKAGE = re.compile(r"^#\s*@package\s+_global_\s*$", re.M)
_LIST = re.compile(r"\[[^][{}]*\]")
_KEY = re.compile(r"[~+]{0,2}[A-Za-z_$][\w.@/:$-]*", re.ASCII)
_PLAIN = re.compile(r"[^$'\"(){}\[\]]+")  # no quotes, functions or interpolations: a name as it is
_CHDIR = re.compile(r"\+*hydra\.job\.chdir=true", re.IGNORECASE)
NO_CHDIR = "not supported, for all paths are those of the repository; leave it out"
_ONE_OF = ("run", "multirun", "cfg", "info", "shell_completion")
_NOT_SUPPORTED = {  # of Hydra's flags
    "config-dir": "put the files into conf/",
    "config-path": "put the files into conf/",
    "config-name": "conf/config.yaml is the only one, conf/experiment/ has what differs from it",
    "experimental-rerun": "give the same overrides again",
}


def parse(arguments: Sequence[str]) -> list[str]:
    """The overrides among the arguments of a command.

    Raises:
        UserError: another argument is none of Hydra's, or one that is not supported here.
    """
    parser = get_args_parser()
    vars(parser)["error"] = _refuse  # by itself it prints all of its flags, and exits
    parsed = parser.parse_args(list(arguments))
    for flag, advice in _NOT_SUPPORTED.items():
        if getattr(parsed, flag.replace("-", "_")):
            raise UserError(f"--{flag} is not supported; {advice}")
    if sum(bool(getattr(parsed, flag)) for flag in _ONE_OF) > 1:
        raise UserError("--run, -m, --cfg, --info and --shell-completion: expected one of them")
    overrides: list[str] = parsed.overrides
    for override in overrides:
        if override.startswith("="):
            raise UserError(unreadable(override))
        if _CHDIR.fullmatch(override):
            raise UserError(f"{override}: {NO_CHDIR}")
    return overrides


def with_options(arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    """The arguments, with a plus sign before each of the `options`, which conf/ does not have.

    Raises:
        UserError: one is given twice, or together with a sweep.
    """
    opened, given = [], []
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        is_option = bool(equals) and name in options
        given += [name] * is_option
        opened.append(f"+{argument}" if is_option else argument)
    for name in given:
        if given.count(name) > 1:
            raise UserError(f"{name}= is given more than once")
        if {"-m", "--multirun"} & set(arguments):
            raise UserError(
                f"{name}= means nothing in a sweep, whose winner is confirmed with seeds by itself "
                "(docs/sweeps.md); leave one of them out"
            )
    return opened


def check_files(root: Path, overrides: Sequence[str]) -> None:
    """The files of conf/ that overrides name hold what Hydra makes a configuration of.

    Raises:
        UserError: one does not; with line and column where it is no YAML.
    """
    for override in overrides:
        group, _, choices = override.lstrip("+").partition("=")
        for choice in choices.strip("[]").split(","):
            _check_choice(root, group, choice.strip())


def unreadable(override: str, problem: str = "") -> str:
    """What is wrong with an override that Hydra cannot read, and how to write it."""
    key, equals, value = override.partition("=")
    if not equals:
        return f"'{override}' is no override; expected <key>=<value>, or ~<key> to leave one out"
    if not key:
        return f"'{override}' names no key; expected <key>=<value>"
    if _KEY.fullmatch(key) is None:
        return (
            f"an override cannot name the key '{key}': letters a to z, digits and _ alone can "
            "stand there; set it in a file of conf/experiment/"
        )
    said = f"cannot read '{value}', the value of {key}{problem}"
    if _LIST.fullmatch(value):
        texts = [text.strip(" '\"") for text in value[1:-1].split(",")]
        return f"{said}; texts of a list need quotes: {shlex.quote(f'{key}={_literal(texts)}')}"
    return f"{said}; as a text it needs quotes: {quoted(key, value)}"


def ambiguous(override: str) -> str:
    """What the commas of a value may mean."""
    key, _, value = override.partition("=")
    return (
        f"{override} is several values: -m runs each of them, {shlex.quote(f'{key}=[{value}]')} "
        f"is a list, and {quoted(key, value)} a text"
    )


def quoted(key: str, text: str) -> str:
    """An override as a shell takes it, whose value is this text whatever it holds."""
    return shlex.quote(f"{key}={_literal(text)}")


def of_mapping(content: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Overrides that set the same values as a nested mapping."""
    overrides = []
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            overrides += of_mapping(value, f"{prefix}{key}.")
        else:
            overrides.append(f"{prefix}{key}={_literal(value)}")
    return overrides


def _refuse(message: str) -> NoReturn:
    stray = message.removeprefix("unrecognized arguments: ")
    if stray != message and "=" in stray.partition(" ")[0] and not stray.startswith("-"):
        raise UserError(f"{stray}: overrides stand in one row, behind all flags such as -m")
    raise UserError(f"{message}; expected <key>=<value>, --help lists what there is")


def _check_choice(root: Path, group: str, choice: str) -> None:
    """A file of conf/ that an override names holds what Hydra would not refuse with a traceback."""
    if group in ("experiment", "name") and _PLAIN.fullmatch(choice) and choice != "null":
        check_experiment(choice)
    path = root / "conf" / group / f"{choice}.yaml"
    if not path.is_file():
        return
    content = read.mapping(path)
    if group in _GLOBAL and not _is_global(path):
        raise UserError(
            f"conf/{group}/{choice}.yaml does not begin with the line '# @package _global_'; "
            f"without it, its keys are taken for those of a section {group}"
        )
    if not isinstance(content.get("defaults", []), list):
        raise UserError(
            f"conf/{group}/{choice}.yaml: defaults is {content['defaults']!r}; "
            "expected a list, such as [override /model: mlp]"
        )


def _is_global(path: Path) -> bool:
    """Whether Hydra takes the keys of a file for those of the whole configuration."""
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            return False
        if _PACKAGE.match(line):
            return True
    return False


def _literal(value: Any) -> str:
    """A value as Hydra's grammar of overrides writes it."""
    if isinstance(value, str):
        return QuotedString(text=value, quote=Quote.double).with_quotes()
    if isinstance(value, list):
        return f"[{','.join(_literal(item) for item in value)}]"
    if isinstance(value, dict):
        items = [f"{key}:{_literal(item)}" for key, item in value.items()]
        return f"{{{','.join(items)}}}"
    return repr(value) if isinstance(value, float) else json.dumps(value)
