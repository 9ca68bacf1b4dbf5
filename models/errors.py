"""The one exception that this package raises for things a user can put right."""


class ModelError(Exception):
    """A model file, source or device cannot be used; the message is one line that says what to do."""
