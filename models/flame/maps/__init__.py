"""ARKit's shapes to FLAME's parameters and back."""
