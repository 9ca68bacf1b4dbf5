"""Which points of a FLAME model are which of the tracker's, and carrying surfaces over."""
