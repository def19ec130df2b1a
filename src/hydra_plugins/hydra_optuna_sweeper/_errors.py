"""What ends a sweep before a worker starts."""

from __future__ import annotations


class SweepError(Exception):
    """A mistake of the user, exit code 2: what was got, what was expected, what to do."""
