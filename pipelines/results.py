"""`make results`: docs/results.md, from what the stages left."""

from environment import guarded

from goodfit.reporting.results import write

if __name__ == "__main__":
    guarded(write)
