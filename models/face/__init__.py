"""Face tracking: from an image to landmarks, blendshapes, head pose and gaze."""

from facewire.models.arkit import ARKIT_NAMES
from facewire.models.face.meshes import MESHES, MeshName
from facewire.models.face.tracker import FaceObservation, FaceTracker

__all__ = ["ARKIT_NAMES", "MESHES", "FaceObservation", "FaceTracker", "MeshName"]
