"""Face tracking: from an image to landmarks, blendshapes, head pose and gaze."""

from facewire.bridge.shared.arkit import BLENDSHAPES
from facewire.models.face.meshes import MESHES, MeshName
from facewire.models.face.tracker import FaceTracker

__all__ = ["BLENDSHAPES", "MESHES", "FaceTracker", "MeshName"]
