"""Weights and media: what there is, where it comes from, its licence; fetched by hash, converted, cached."""
