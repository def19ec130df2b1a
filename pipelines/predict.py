"""Answers to the rows of a file, by the model of an experiment or of the registry."""

import sys

from environment import guarded

from goodfit.stages.predict import main

if __name__ == "__main__":
    guarded(lambda: sys.exit(main()))
