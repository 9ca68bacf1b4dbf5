"""Sound as numbers: blocks, rates, levels and clocks. No thread, no device."""
