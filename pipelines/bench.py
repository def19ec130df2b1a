import sys

from goodfit.cli import guarded


def main() -> None:
    from goodfit import bench_measure

    names = bench_measure.chosen(sys.argv[1:])
    # after cli: it sets how long OpenMP's threads spin, for both sides, before torch is imported
    from goodfit.bench import bench

    bench(names)


if __name__ == "__main__":
    guarded(main)
