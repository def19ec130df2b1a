"""Secrets stay on the machine they belong to: nothing that is written down carries their values."""

from __future__ import annotations

import os
import re

_WORDS = r"(secret|token|passw|api[_-]?key|access[_-]?key|credential|private[_-]?key)"
_SECRET_NAME = re.compile(_WORDS, re.IGNORECASE)
_QUERY_KEY = re.compile(
    rf"(?P<key>[?&][\w.-]*{_WORDS}[\w.-]*=)[^&\s'\"#]+",
    re.IGNORECASE,
)
# to the last @ of the authority: a password may hold one that nobody has escaped
_URL_LOGIN = re.compile(r"(?P<scheme>[a-zA-Z][\w+.-]*://)(?P<login>[^/\s'\"?#]+)@")
_ENV_REFERENCE = re.compile(r"\$\{oc\.env:\s*(?P<name>\w+)")
_SHORTEST = 6  # a shorter value, such as "1" or "true", occurs everywhere and hides nothing


def redact(text: str, config: str | None = None) -> str:
    """`text` without logins and keys of URLs, nor values of secret environment variables.

    Secret are the variables whose names say so (TOKEN, PASSWORD, SECRET, API_KEY, ...) and those
    that `config`, the configuration's unresolved text, refers to as ${oc.env:NAME}.
    """
    for value in _secret_values(config):
        text = text.replace(value, "***")
    text = _URL_LOGIN.sub(r"\g<scheme>***@", text)
    return _QUERY_KEY.sub(r"\g<key>***", text)


def _secret_values(config: str | None) -> list[str]:
    names = {name for name in os.environ if _SECRET_NAME.search(name)}
    if config is not None:
        names |= {match["name"] for match in _ENV_REFERENCE.finditer(config)}

    values = {os.environ[name] for name in names if name in os.environ}
    long_enough = [value for value in values if len(value) >= _SHORTEST]
    return sorted(long_enough, key=len, reverse=True)  # a value may contain another one
