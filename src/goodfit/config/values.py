"""Values of a configuration: the type that an annotation names, and whether a value is of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError

from goodfit import schema
from goodfit.config import tree
from goodfit.errors import UserError, nearest

_TYPES = {**{name: getattr(schema, name) for name in schema.__all__}, "str": str}


def annotated_type(annotation: str | None) -> Any:
    """The type that an annotation names, None where the configuration does not give such values."""
    if annotation is None:
        return None
    try:
        return eval(annotation, {"__builtins__": {}}, _TYPES)  # noqa: S307 - this project's source
    except NameError:
        return None


def check_value(key: str, expected: Any, value: Any) -> None:
    """A value is of the expected type and in its range.

    Raises:
        UserError: it is not, or has no value yet; the message says what was expected.
    """
    for name, leaf in tree.dotted(value, f"{key}.").items():
        if leaf == "???":
            raise UserError(f"'{name}' has no value; set {name}=...")
    try:
        TypeAdapter(expected).validate_python(value)
    except ValidationError as error:
        raise UserError(_explained(key, expected, value, error.errors()[0])) from None


def _explained(key: str, expected: Any, value: Any, problem: Mapping[str, Any]) -> str:
    """Pydantic's complaint about a value in one line: what was expected, and what was got."""
    # `loc` also names the branches of a union, which are no keys
    keys = {name.rpartition(".")[2] for name in tree.dotted_keys(value)}
    path = ".".join([key, *(str(part) for part in problem["loc"] if str(part) in keys)])
    # the first two name a class, of `sections` or of `schema`
    if problem["type"] in ("model_type", "dataclass_type", "mapping_type", "dict_type"):
        return f"{path}: expected names and values, got {problem['input']!r}."
    if problem["type"] == "missing":
        return f"'{path}.{problem['loc'][-1]}' is missing."
    got = "" if isinstance(problem["input"], dict) else f", got {problem['input']!r}"
    if problem["type"] == "extra_forbidden":
        # of Mapping[str, Source], the second
        model = get_args(expected)[1] if get_args(expected) else expected
        options = [f"{path.rpartition('.')[0]}.{name}" for name in model.model_fields]
        is_deeper = len(problem["loc"]) > 1 + bool(get_args(expected))
        hint = "" if is_deeper else nearest(path, options)  # a name of another model does not help
        return f"{path}: unknown key{got}.{hint}"
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    if problem["type"] == "string_type":
        message = "expected a text"
    return f"{path}: {message}{got}{_advice(path, problem)}."


def _advice(key: str, problem: Mapping[str, Any]) -> str:
    """What to write instead, where a value was meant well and read as something else."""
    kind, given = problem["type"], problem["input"]
    if kind in ("string_type", "literal_error") and isinstance(given, bool):
        word = "yes" if given else "no"
        return (
            "; yes, no, on, off, true and false are texts in quotes only: "
            f"{_in_quotes(key, word, str(given).lower())}"
        )
    if kind == "string_type" and isinstance(given, int | float):
        return f"; a text needs quotes: {_in_quotes(key, str(given), str(given))}"
    if kind == "int_type" and isinstance(given, float) and given.is_integer():
        return f"; write {int(given)}"
    if kind == "bool_type" and isinstance(given, str):
        return "; write true or false, without quotes"
    if kind in ("int_type", "float_type") and isinstance(given, str) and _is_number(given):
        return f"; that is a text, write {given} without quotes"
    return ""


def _in_quotes(key: str, in_file: str, in_override: str) -> str:
    """A text as YAML and as a shell take it."""
    from goodfit.config import overrides  # Hydra's grammar takes 0.3 s

    name = key.rpartition(".")[2]
    return f"{name}: '{in_file}' in a file, {overrides.quoted(key, in_override)} on a command line"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
