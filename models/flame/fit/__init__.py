"""FLAME fitted to the landmarks of a picture, live."""
