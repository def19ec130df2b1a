"""Where a result comes from: code, commit, data, packages, machine."""
