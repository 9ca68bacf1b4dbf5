"""Voices to learn from: sentences, synthesisers, and the times of their phones."""
