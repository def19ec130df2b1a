"""Changes to training batches that leave their meaning as it is; validation and test never see
them.
"""
