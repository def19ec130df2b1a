"""The end of `make repro`: a table of all experiments, or of those that are named."""

import sys

from environment import guarded

from goodfit.stages.summary import summarize

if __name__ == "__main__":
    guarded(lambda: summarize(sys.argv[1:]))
