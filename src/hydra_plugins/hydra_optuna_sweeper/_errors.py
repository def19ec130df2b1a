"""What ends a sweep before a worker starts."""

from __future__ import annotations


class SweepError(Exception):
    """A mistake that the user can mend: what was got, what was expected, what to do. Exit code 2."""
