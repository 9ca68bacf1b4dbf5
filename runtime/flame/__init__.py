"""FLAME beside the shapes of a live face, and pictures of it."""
