"""What users are told when they made a mistake: one or two lines, never a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake that the user can mend: says what was got, what was expected, what to do. Exit code 2."""


class NonFiniteLossError(RuntimeError):
    """The loss is NaN or infinite; raised before the optimizer step, so the weights are still finite."""


def nearest(name: str, options: Iterable[str]) -> str:
    """The closest of `options` as " Did you mean 'x'?", or the whole list where none is close."""
    known = sorted(options)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not close:  # model.widht is closer to width than to anything that shares its prefix
        tails = {option.rsplit(".", 1)[-1]: option for option in known}
        tail = difflib.get_close_matches(name.rsplit(".", 1)[-1], tails, n=1, cutoff=0.6)
        close = [tails[match] for match in tail]
    return f" Did you mean '{close[0]}'?" if close else f" Known: {', '.join(known) or 'none'}."
