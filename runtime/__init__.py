"""The live side of Facewire: capture, the live loop, filters and the command line.

Only this package owns threads and clocks.
"""

import os

# The libraries below read these when they are first imported, which is why they are set here and nowhere later.
_ENVIRONMENT = {
    # A live run shares the machine with a game: no pools of threads, and none of their memory, for small matrices.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # OpenCV's and FFmpeg's own chatter would bury our one line; a camera that hangs is noticed after two seconds.
    "OPENCV_LOG_LEVEL": "SILENT",
    "OPENCV_FFMPEG_LOGLEVEL": "-8",
    "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "2",
}
for _name, _value in _ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)
