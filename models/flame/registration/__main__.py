"""``python -m facewire.models.flame.registration``: write the open head's correspondence."""

from facewire.models.flame.registration.registration import main

if __name__ == "__main__":
    main()
