"""What becomes of a tracked face: calibrated, present or not, filtered, its mouth trusted or not."""
