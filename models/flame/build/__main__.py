"""``python -m facewire.models.flame.build``: write the open head's FLAME model."""

from facewire.models.flame.build.open_head import main

if __name__ == "__main__":
    main()
