"""The weights that ship; see README.md beside them."""
