from goodfit.cli import stage

if __name__ == "__main__":
    stage("goodfit.train:stage", by_hand="goodfit.train:by_hand", needs={"prepared": "prepare"})
