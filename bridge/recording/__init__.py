"""Session files: what ``docs/recording.md`` defines, written and read, repaired, cut and joined."""
