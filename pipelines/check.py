"""What in your own data makes a score mislead: source=..., target=..."""

import sys

from environment import guarded

from goodfit.stages.check import main

if __name__ == "__main__":
    guarded(lambda: sys.exit(main()))
