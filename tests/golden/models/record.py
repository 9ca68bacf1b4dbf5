"""Records what other programs make of the same networks, for the tests to compare with. Anyone can run it again:

    facewire models pull
    python -m venv /tmp/litert && /tmp/litert/bin/pip install ai-edge-litert
    /tmp/litert/bin/python tests/golden/models/record.py litert ORIGINALS
    python3.12 -m venv /tmp/mediapipe && /tmp/mediapipe/bin/pip install mediapipe==0.10.21 "numpy<2"
    /tmp/mediapipe/bin/python tests/golden/models/record.py mediapipe ORIGINALS

ORIGINALS is the folder `originals` in Facewire's cache. `litert` runs the files in the TensorFlow Lite runtime with its
reference kernels and keeps 16 numbers of every inner tensor: litert.npz. That runtime lacks Attention Mesh's custom
operators, so `mediapipe` runs that network in MediaPipe's own graph and keeps all of its outputs: mediapipe.npz.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
NETWORKS = {
    "face_mesh_v2": "face_landmarks_detector.tflite",
    "face_detector": "face_detector.tflite",
    "face_blendshapes": "face_blendshapes.tflite",
}
SAMPLES = 16


def network_input(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Noise in the range that the network expects; blendshapes get a cloud of points."""
    noise = np.random.default_rng(7).random(shape, dtype=np.float32)
    return {"face_detector": noise * 2 - 1, "face_blendshapes": noise * 200}.get(name, noise)


def sample(index: int, values: np.ndarray) -> np.ndarray:
    """Take the same 16 places of a tensor each time."""
    places = np.random.default_rng(index).integers(0, values.size, SAMPLES)
    return values.reshape(-1)[places].astype(np.float32)


def face_crops(image_rgb: np.ndarray) -> list[np.ndarray]:
    """Four 192×192 crops of the astronaut: upright, mirrored, lying on the side, and off centre in the dark."""
    face = image_rgb[19:211, 130:322]
    return [face, face[:, ::-1], np.rot90(face), image_rgb[60:252, 80:272] // 3]


def record_litert(originals: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    found = {}
    with zipfile.ZipFile(originals / "face_landmarker.task") as archive:
        for name, member in NETWORKS.items():
            interpreter = Interpreter(
                model_content=archive.read(member),
                num_threads=1,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            interpreter.allocate_tensors()
            source = interpreter.get_input_details()[0]
            interpreter.set_tensor(source["index"], network_input(name, tuple(source["shape"])))
            interpreter.invoke()
            layers = {
                detail["index"]: _tensor(interpreter, detail["index"]) for detail in interpreter.get_tensor_details()
            }
            layers = {index: value for index, value in layers.items() if value is not None}
            found[f"{name}.indices"] = np.array(list(layers), np.int32)
            found[f"{name}.samples"] = np.stack([sample(index, value) for index, value in layers.items()])
            found[f"{name}.scales"] = np.array([np.abs(value).max() for value in layers.values()], np.float32)
    np.savez_compressed(HERE / "litert.npz", **found)


def _tensor(interpreter, index: int) -> np.ndarray | None:
    try:
        value = interpreter.get_tensor(index)
    except ValueError:  # Never made: the runtime fused it away.
        return None
    return value if value.dtype == np.float32 else None


OUTPUTS = (("mesh", 468, 3), ("lips", 80, 2), ("left_eye", 71, 2), ("right_eye", 71, 2),
           ("left_iris", 5, 2), ("right_iris", 5, 2))  # fmt: skip

GRAPH = """
input_stream: "image"
output_stream: "face_flag"
node { calculator: "ConstantSidePacketCalculator" output_side_packet: "PACKET:with_attention"
  node_options { [type.googleapis.com/mediapipe.ConstantSidePacketCalculatorOptions] { packet { bool_value: true } } } }
node { calculator: "FaceLandmarksModelLoader"
  input_side_packet: "WITH_ATTENTION:with_attention" output_side_packet: "MODEL:model" }
node { calculator: "TfLiteCustomOpResolverCalculator" output_side_packet: "OP_RESOLVER:op_resolver" }
node { calculator: "ImageToTensorCalculator" input_stream: "IMAGE:image" output_stream: "TENSORS:in"
  options { [mediapipe.ImageToTensorCalculatorOptions.ext] {
    output_tensor_width: 192 output_tensor_height: 192 output_tensor_float_range { min: 0.0 max: 1.0 } } } }
node { calculator: "InferenceCalculator" input_stream: "TENSORS:in" output_stream: "TENSORS:out"
  input_side_packet: "MODEL:model" input_side_packet: "OP_RESOLVER:op_resolver"
  options { [mediapipe.InferenceCalculatorOptions.ext] { delegate { xnnpack {} } } } }
node { calculator: "SplitTensorVectorCalculator" input_stream: "out" SPLIT_OUTPUTS
  options { [mediapipe.SplitVectorCalculatorOptions.ext] { SPLIT_RANGES } } }
node { calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:t6" output_stream: "FLOAT:face_flag" }
"""
LANDMARKS = """
node { calculator: "TensorsToLandmarksCalculator" input_stream: "TENSORS:tINDEX" output_stream: "LANDMARKS:NAME"
  options { [mediapipe.TensorsToLandmarksCalculatorOptions.ext] {
    num_landmarks: COUNT input_image_width: 192 input_image_height: 192 } } }
output_stream: "NAME"
"""


def graph_text() -> str:
    text = GRAPH.replace("SPLIT_OUTPUTS", " ".join(f'output_stream: "t{i}"' for i in range(7)))
    text = text.replace("SPLIT_RANGES", " ".join(f"ranges: {{ begin: {i} end: {i + 1} }}" for i in range(7)))
    for index, (name, count, _) in enumerate(OUTPUTS):
        text += LANDMARKS.replace("INDEX", str(index)).replace("NAME", name).replace("COUNT", str(count))
    return text


def record_mediapipe(originals: Path) -> None:
    import cv2
    import mediapipe
    from google.protobuf import text_format
    from mediapipe.calculators.core import constant_side_packet_calculator_pb2, split_vector_calculator_pb2
    from mediapipe.calculators.tensor import (
        image_to_tensor_calculator_pb2,
        inference_calculator_pb2,
        tensors_to_landmarks_calculator_pb2,
    )
    from mediapipe.framework import calculator_pb2
    from mediapipe.python import packet_creator, packet_getter
    from mediapipe.python._framework_bindings import calculator_graph, image_frame, resource_util

    # Parsing the graph's text needs these modules' messages to be registered, nothing else of them.
    del constant_side_packet_calculator_pb2, split_vector_calculator_pb2, image_to_tensor_calculator_pb2
    del inference_calculator_pb2, tensors_to_landmarks_calculator_pb2
    resource_util.set_resource_dir(str(Path(mediapipe.__file__).parents[1]))
    config = text_format.Parse(graph_text(), calculator_pb2.CalculatorGraphConfig())
    graph = calculator_graph.CalculatorGraph(graph_config=config)
    latest: dict[str, np.ndarray] = {}

    def keep(name: str, dimensions: int):
        def callback(_: str, packet) -> None:
            points = packet_getter.get_proto(packet).landmark
            latest[name] = np.array([[p.x, p.y, p.z][:dimensions] for p in points], np.float32)

        return callback

    for name, _, dimensions in OUTPUTS:
        graph.observe_output_stream(name, keep(name, dimensions))
    graph.observe_output_stream(
        "face_flag", lambda _, packet: latest.update(face_flag=np.float32(packet_getter.get_float(packet)))
    )
    graph.start_run()
    image = cv2.cvtColor(cv2.imread(str(originals / "astronaut.png")), cv2.COLOR_BGR2RGB)
    found = {}
    for number, crop in enumerate(face_crops(image)):
        frame = image_frame.ImageFrame(image_format=image_frame.ImageFormat.SRGB, data=np.ascontiguousarray(crop))
        graph.add_packet_to_input_stream("image", packet_creator.create_image_frame(frame).at(number * 1000))
        graph.wait_until_idle()
        found.update({f"{name}.{number}": value for name, value in latest.items()})
    graph.close()
    np.savez_compressed(HERE / "mediapipe.npz", **found)


if __name__ == "__main__":
    {"litert": record_litert, "mediapipe": record_mediapipe}[sys.argv[1]](Path(sys.argv[2]))
