"""The output to VTube Studio, by its public API for plug-ins."""
