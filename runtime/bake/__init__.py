"""The live stages over files, as fast as they go."""
