"""From conf/ and overrides to one tree that has been checked."""
