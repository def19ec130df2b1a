"""From a command to processes, a run and a model's folder."""
