"""Microphones and files: sound, and what every source of it offers."""
