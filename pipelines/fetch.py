"""The stage fetch: the raw file to data/raw/<experiment>."""

from environment import stage

if __name__ == "__main__":
    stage("goodfit.stages.fetch:stage")
