"""Examines a repository, and mends what is safe to mend."""
