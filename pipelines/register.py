"""The stage register: a new version in MLflow's registry."""

from environment import stage

if __name__ == "__main__":
    stage("goodfit.stages.register:stage", needs={"evaluation": "evaluate", "page": "report"})
