"""The commands of ``facewire``, a file each."""
