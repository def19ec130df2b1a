"""The stage train: the model to models/<experiment>; by hand to build/runs/<run>."""

from environment import stage

if __name__ == "__main__":
    stage(
        "goodfit.stages.train:stage",
        by_hand="goodfit.stages.by_hand:by_hand",
        needs={"prepared": "prepare"},
    )
