"""Other programs' face formats, to bytes and back, without any input or output: a module for each."""
