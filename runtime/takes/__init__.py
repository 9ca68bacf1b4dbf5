"""Takes: recording beside a live run, and playing them again as if they were live."""
