"""From sound to ticks of speech: the pipeline, and the thread that runs it."""
