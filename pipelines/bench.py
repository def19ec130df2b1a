from goodfit.cli import guarded

if __name__ == "__main__":
    # after cli: it sets how long OpenMP's threads spin, for both sides, before torch is imported
    from goodfit.bench import bench

    guarded(bench)
