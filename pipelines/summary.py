"""The end of `make repro`: a table of all experiments."""

from goodfit.cli import guarded
from goodfit.stages.summary import summarize

if __name__ == "__main__":
    guarded(summarize)
