"""The stage train: the model to models/<experiment>; by hand to build/runs/<run>.

cv=5 trains on five folds, seeds=5 with five seeds.
"""

from environment import stage

if __name__ == "__main__":
    stage(
        "goodfit.stages.train:stage",
        by_hand="goodfit.stages.by_hand:by_hand",
        needs={"prepared": "prepare"},
        options=("cv", "seeds"),
    )
