"""Whether more data would help: trainings on shares of train, and where their scores lead."""

import sys

from environment import guarded

from goodfit.stages.learning_curve import main

if __name__ == "__main__":
    guarded(lambda: sys.exit(main()))
