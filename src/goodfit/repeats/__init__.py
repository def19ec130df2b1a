"""One experiment trained several times: folds, seeds, and what two of them differ by."""
