"""Which of the 478 landmarks means what.

Points 0–467 are those of MediaPipe's canonical face mesh, 468–472 and 473–477 the irises (centre, then right, top,
left and bottom edge). "Left" in the names of MediaPipe's mesh tensors is the left of the image, that is the subject's
right; here ``RIGHT_`` and ``LEFT_`` always mean the subject's side. Sources: google-ai-edge/mediapipe,
``tensors_to_face_landmarks_with_attention.pbtxt`` and ``face_blendshapes_graph.cc``.
"""

from __future__ import annotations

import numpy as np

LANDMARK_COUNT = 478
MESH_COUNT = 468

RIGHT_EYE_OUTER, RIGHT_EYE_INNER = 33, 133
LEFT_EYE_INNER, LEFT_EYE_OUTER = 362, 263
RIGHT_LID_UPPER, RIGHT_LID_LOWER = 159, 145
LEFT_LID_UPPER, LEFT_LID_LOWER = 386, 374
RIGHT_IRIS, LEFT_IRIS = 468, 473

# Attention Mesh refines lips, eyes and irises: row i of the refined tensor replaces the landmark named here.
LIPS = np.array([
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 185, 40, 39, 37, 0, 267, 269, 270, 409,
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 191, 80, 81, 82, 13, 312, 311, 310, 415,
    76, 77, 90, 180, 85, 16, 315, 404, 320, 307, 306, 184, 74, 73, 72, 11, 302, 303, 304, 408,
    62, 96, 89, 179, 86, 15, 316, 403, 319, 325, 292, 183, 42, 41, 38, 12, 268, 271, 272, 407,
], np.int32)  # fmt: skip

RIGHT_EYE = np.array([
    33, 7, 163, 144, 145, 153, 154, 155, 133, 246, 161, 160, 159, 158, 157, 173,
    130, 25, 110, 24, 23, 22, 26, 112, 243, 247, 30, 29, 27, 28, 56, 190,
    226, 31, 228, 229, 230, 231, 232, 233, 244, 113, 225, 224, 223, 222, 221, 189,
    35, 124, 46, 53, 52, 65, 143, 111, 117, 118, 119, 120, 121, 128, 245, 156, 70, 63, 105, 66, 107, 55, 193,
], np.int32)  # fmt: skip

LEFT_EYE = np.array([
    263, 249, 390, 373, 374, 380, 381, 382, 362, 466, 388, 387, 386, 385, 384, 398,
    359, 255, 339, 254, 253, 252, 256, 341, 463, 467, 260, 259, 257, 258, 286, 414,
    446, 261, 448, 449, 450, 451, 452, 453, 464, 342, 445, 444, 443, 442, 441, 413,
    265, 353, 276, 283, 282, 295, 372, 340, 346, 347, 348, 349, 350, 357, 465, 383, 300, 293, 334, 296, 336, 285, 417,
], np.int32)  # fmt: skip

EYE_CONTOUR_COUNT = 16
"""The first 16 rows of an eye are the rims of its lids; an iris takes their mean depth."""

BLENDSHAPE_INPUT = np.array([
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66, 67, 70, 78, 80,
    81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144, 145, 146, 148, 149, 150, 152, 153, 154,
    155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263,
    267, 269, 270, 276, 282, 283, 284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321,
    323, 324, 332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386, 387,
    388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473, 474, 475, 476, 477,
], np.int32)  # fmt: skip
"""The 146 landmarks that the blendshape network reads."""

assert len(LIPS) == 80
assert len(RIGHT_EYE) == len(LEFT_EYE) == 71
assert len(BLENDSHAPE_INPUT) == 146
