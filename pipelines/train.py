from goodfit.cli import stage

if __name__ == "__main__":
    stage("goodfit.launch:stage", by_hand="goodfit.launch:by_hand", needs={"prepared": "prepare"})
