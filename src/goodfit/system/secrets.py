"""Secrets stay on the machine they belong to: nothing that is written down carries their values."""

from __future__ import annotations

import os
import re

_NAMES = re.compile(
    r"(?i)(secret|token|passw|api[_-]?key|access[_-]?key|credential|private[_-]?key)"
)
# to the last @ of the authority: a password may hold one that nobody has escaped
_URL = re.compile(r"(?P<scheme>[a-zA-Z][\w+.-]*://)(?P<login>[^/\s'\"?#]+)@")
_QUERY = re.compile(
    rf"(?P<key>[?&][\w.-]*{_NAMES.pattern.removeprefix('(?i)')}[\w.-]*=)[^&\s'\"#]+", re.I
)
_ENV = re.compile(r"\$\{oc\.env:\s*(?P<name>\w+)")
_SHORTEST = 6  # a shorter value, such as "1" or "true", occurs everywhere and hides nothing


def redact(text: str, config: str = "") -> str:
    """`text` without logins and keys in URLs and without the values of secret environment
    variables.

    Secret are the variables whose names say so (TOKEN, PASSWORD, SECRET, API_KEY, ...) and those
    that `config`, the configuration's unresolved text, refers to as ${oc.env:NAME}.
    """
    names = {name for name in os.environ if _NAMES.search(name)}
    names |= {match["name"] for match in _ENV.finditer(config)}
    values = {os.environ[name] for name in names if len(os.environ.get(name, "")) >= _SHORTEST}
    for value in sorted(values, key=len, reverse=True):  # a value may contain another one
        text = text.replace(value, "***")
    return _QUERY.sub(r"\g<key>***", _URL.sub(r"\g<scheme>***@", text))
