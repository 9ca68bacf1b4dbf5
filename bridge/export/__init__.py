"""Sessions into files that other programs read, and Live Link Face takes into sessions."""
