"""Which of two experiments or runs is better, or whether they are statistically tied."""

import sys

from environment import guarded

from goodfit.stages.compare import main

if __name__ == "__main__":
    guarded(lambda: sys.exit(main()))
