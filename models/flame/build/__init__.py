"""How the open head's FLAME model was made: ``python -m facewire.models.flame.build``."""
