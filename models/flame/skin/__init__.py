"""FLAME's vertices from its parameters: for live use, and for training in torch."""
