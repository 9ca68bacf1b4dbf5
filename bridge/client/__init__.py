"""The Python client, asynchronous and blocking."""
