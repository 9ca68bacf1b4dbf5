"""Trains the correction of Attention Mesh's blendshapes; needs the `train` extra. See docs/attention-blendshapes.md."""
