"""Trains Attention Mesh's blendshapes; needs the `train` extra. See docs/attention-blendshapes.md."""
