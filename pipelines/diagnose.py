"""How well an experiment fits, and which remedies make it fit better, by validation alone."""

import sys

from environment import guarded

from goodfit.stages.diagnose import main

if __name__ == "__main__":
    guarded(lambda: sys.exit(main()))
