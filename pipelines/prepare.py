"""The stage prepare: the raw file to packed arrays in data/prepared/<experiment>."""

from environment import stage

if __name__ == "__main__":
    stage("goodfit.stages.prepare:stage", needs={"raw": "fetch"})
