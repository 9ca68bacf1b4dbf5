"""Small things that every room of the runtime uses; they know nothing of faces or sound."""
