"""Cameras and files: pictures, and what every source of them offers."""
