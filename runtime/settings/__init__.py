"""What a user may choose, and keep as a profile."""
