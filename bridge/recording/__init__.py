"""Session files: what ``docs/recording.md`` defines, written and read, mended, cut and joined."""
