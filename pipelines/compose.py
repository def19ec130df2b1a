"""The stage compose: conf/ and params.yaml to build/<experiment>.json."""

from goodfit.cli import guarded
from goodfit.stages.compose import main

if __name__ == "__main__":
    guarded(main)
