"""An experiment on your own data: name=..., source=..., target=..."""

import sys

from environment import guarded

from goodfit.stages.new import main

if __name__ == "__main__":
    guarded(lambda: sys.exit(main()))
