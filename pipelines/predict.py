"""Answers to the rows of a file, by the model of an experiment or of the registry."""

import sys

from goodfit.cli import guarded

if __name__ == "__main__":
    from goodfit.stages.predict import main

    guarded(lambda: sys.exit(main()))
