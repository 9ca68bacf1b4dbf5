"""Speech to motion: a causal network of our own that ships, and FaceFormer as published."""
