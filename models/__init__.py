"""Networks and pure maths: arrays and explicit state in, arrays and state out; and where the weights come from."""

import os
import sys

# ONNX Runtime and the Hugging Face libraries tell their makers that, and on what, they run, unless these are set before
# they are imported; all that imports them lies in this package. Set whatever the environment says: that nothing is sent
# is a promise. Look-ups that somebody asks for, as of a model by its hub name, go on as before.
os.environ.update(
    {
        "ORT_DISABLE_TELEMETRY": "1",
        # Without it the hub is asked which AI agents there are, even where only files on this machine are wanted.
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        # Has a service of the hub convert, and publish, the weights of a model that are in torch's format.
        "DISABLE_SAFETENSORS_CONVERSION": "1",
    }
)
_switch = getattr(sys.modules.get("onnxruntime"), "disable_telemetry_events", None)
if _switch is not None:
    # A program imported it before us: what it noted until now is still sent (README, "What leaves this machine").
    _switch()
