"""`make bench`: this project against a hand-written loop, Lightning's own ways and DVC's, in turns."""

from __future__ import annotations

import sys

from goodfit.cli import guarded


def main() -> None:
    from benchmarks import measure

    names = measure.chosen(sys.argv[1:])
    # after `guarded` has limited how long OpenMP's threads spin, for both sides, before torch is
    # imported
    from benchmarks.comparisons import bench

    bench(names)


if __name__ == "__main__":
    guarded(main)
