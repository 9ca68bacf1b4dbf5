"""Curves of a take, as a picture and as a page."""
