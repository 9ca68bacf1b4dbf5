"""The live side of Facewire: capture, the live loop, filters and the command line.

Only this package owns threads and clocks.
"""
