"""What the control panel, Unity and scripts can ask of a live run, and what it says of itself."""
