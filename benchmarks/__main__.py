"""`make bench`: this project against a loop by hand, Lightning's own ways and DVC's, in turns."""

from __future__ import annotations

import sys

from goodfit.cli import guarded


def main() -> None:
    """Runs the comparisons that the command line names, all where it names none.

    Raises:
        UserError: no comparison has that name.
    """
    from benchmarks import measure

    names = measure.chosen(sys.argv[1:])
    # imports torch: `guarded` has limited before how long OpenMP's threads spin, for both sides
    from benchmarks.comparisons import bench

    bench(names)


if __name__ == "__main__":
    guarded(main)
