"""What all packages speak: errors, arrays, units, ARKit's names, the clock. Imports nothing of Facewire, and nothing
heavy."""
