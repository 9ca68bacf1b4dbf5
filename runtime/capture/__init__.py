"""Where pictures come from: cameras, files, network addresses and a demo face; each runs in its own thread."""
