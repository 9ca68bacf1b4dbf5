"""Phones and other programs that track a face already."""
