"""A whole run, put together from what its user chose; it knows nothing of a command line."""
