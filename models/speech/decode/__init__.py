"""FaceFormer's decoder, one frame at a time and without end: what a live run computes, without torch."""
