"""The converted networks give the numbers that the TensorFlow Lite runtime and MediaPipe give (see golden/models)."""

from __future__ import annotations

import zipfile
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from support.paths import GOLDEN, load_module

from facewire.models.assets.manifest import ASSETS
from facewire.models.assets.store import asset_path, cache_folder
from facewire.models.errors import ModelError
from facewire.models.sessions import create_session
from facewire.models.tflite import NETWORKS, NetworkSpec, convert
from facewire.models.tflite.reader import read_network

pytestmark = pytest.mark.models


RECORD = load_module(GOLDEN / "models" / "record.py")


def published(name: str) -> bytes:
    asset_path(name)  # Fetches the original where the cache has none.
    asset = ASSETS[name]
    path = cache_folder() / "originals" / asset.original.filename
    if not path.is_file():
        pytest.skip("the cache holds the converted file alone")
    if not asset.member:
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return archive.read(asset.member)


def run(model: onnx.ModelProto, level: Any, inputs: np.ndarray) -> dict[str, np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {session.get_inputs()[0].name: inputs}), strict=True))


@pytest.mark.parametrize("optimised", [False, True])
@pytest.mark.parametrize("name", ["face_mesh_v2", "face_detector", "face_blendshapes"])
def test_every_layer_matches_the_tflite_runtime(name: str, optimised: bool) -> None:
    golden = np.load(GOLDEN / "models" / "litert.npz")
    network = read_network(published(name))
    inputs = RECORD.network_input(name, network.tensors[network.inputs[0]].shape)
    if inputs.ndim == 4:
        inputs = np.ascontiguousarray(inputs.transpose(0, 3, 1, 2))
    levels = onnxruntime.GraphOptimizationLevel
    level = levels.ORT_ENABLE_ALL if optimised else levels.ORT_DISABLE_ALL
    layers = run(convert(published(name), NETWORKS[name], layers=True), level, inputs)
    compared = 0
    parts = (golden[f"{name}.{part}"] for part in ("indices", "samples", "scales"))
    for index, expected, scale in zip(*parts, strict=True):
        if f"t{index}" in layers:
            found = RECORD.sample(int(index), layers[f"t{index}"])
            assert np.abs(found - expected).max() <= 2e-5 * max(1.0, float(scale)), f"tensor {index}"
            compared += 1
    assert compared >= {"face_mesh_v2": 220, "face_detector": 90, "face_blendshapes": 133}[name]


@pytest.mark.parametrize("block", [1, 8, 16])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_rewriting_does_not_change_the_outputs(name: str, block: int) -> None:
    """What runs (merged branches, padded layers, rows left out) against the plain translation, layer by layer."""
    inputs = RECORD.network_input(name, NETWORKS[name].input_shape)
    source, everything = published(name), onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    ready = run(convert(source, NETWORKS[name], block=block), everything, inputs)
    plain = run(convert(source, NETWORKS[name], layers=True), everything, inputs)
    for output, shape in NETWORKS[name].outputs:
        assert ready[output].shape == shape
        assert np.abs(ready[output] - plain[output]).max() <= 5e-5 * max(1.0, float(np.abs(plain[output]).max()))
    for output, index in NETWORKS[name].inner:
        layer = plain[f"t{index}"].transpose(0, 3, 1, 2)
        assert ready[output].shape == layer.shape
        assert np.abs(ready[output] - layer).max() <= 5e-5 * max(1.0, float(np.abs(layer).max())), output


def test_attention_mesh_matches_mediapipe() -> None:
    """All outputs of four crops; in pixels of the 192×192 input, the flag as a logit."""
    golden = np.load(GOLDEN / "models" / "mediapipe.npz")
    image = cv2.cvtColor(cv2.imread(str(asset_path("demo_face"))), cv2.COLOR_BGR2RGB)
    session = create_session(asset_path("attention_mesh"), device="cpu")
    names = [name for name, _ in NETWORKS["attention_mesh"].outputs]
    for number, crop in enumerate(RECORD.face_crops(image)):
        inputs = crop.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
        for name, found in zip(names, session.run(names, {"image": inputs}), strict=True):
            expected = golden[f"{name}.{number}"].reshape(found.shape)
            assert np.abs(found - expected).max() < 1e-3, (name, number)


def test_a_file_cut_anywhere_is_one_clear_line() -> None:
    source = published("face_detector")
    for size in [*range(0, 64, 7), *np.linspace(64, len(source) - 64, 30, dtype=int)]:  # The last bytes are padding.
        with pytest.raises(ModelError) as raised:
            convert(source[:size], NETWORKS["face_detector"])
        assert "\n" not in str(raised.value)


def test_another_network_is_refused() -> None:
    with pytest.raises(ModelError, match="a different file"):
        convert(published("face_detector"), NETWORKS["face_mesh_v2"])
    with pytest.raises(ModelError, match="a different file"):
        convert(published("face_detector"), NetworkSpec("image", (1, 3, 128, 128), (("boxes", (1, 896, 16)),)))


def test_converted_files_hold_no_path_and_no_foreign_operator() -> None:
    for name in NETWORKS:
        model = onnx.load(asset_path(name))
        assert {entry.domain for entry in model.opset_import} == {""}
        assert {node.domain for node in model.graph.node} == {""}
        assert "PRelu" not in {node.op_type for node in model.graph.node}
