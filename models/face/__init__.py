"""Face tracking: from an image to landmarks, blendshapes, head pose and gaze."""
