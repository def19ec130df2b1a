"""The stage compose: conf/ and params.yaml to build/<experiment>.json."""

from environment import guarded

from goodfit.stages.compose import main

if __name__ == "__main__":
    guarded(main)
