"""`make repro`: all stages of all experiments, or of those that are named, by `dvc repro`."""

import sys

from environment import guarded

from goodfit.stages.repro import main

if __name__ == "__main__":
    guarded(lambda: sys.exit(main()))
