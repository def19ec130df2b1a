"""Values of a configuration: the type that an annotation names, and whether a value is of it."""

from __future__ import annotations

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
    return f"{path}: {message}{got}."
