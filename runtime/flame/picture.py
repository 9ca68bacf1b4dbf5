"""How the canonical face was laid onto a FLAME head, as one picture: from the front and from the side."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from facewire.bridge.shared.arrays import Float64Array, Image
from facewire.models.face.landmarks import MESH_COUNT
from facewire.models.flame.model import FlameModel
from facewire.models.flame.registration.correspondence import Correspondence
from facewire.models.flame.registration.surface import UNSEEN, View, look_at, vertex_normals_of
from facewire.runtime.plot.png import PAPER, draw_text

HEIGHT, MARGIN, HEADER, BAR = 1000, 30, 60, 60
FRAME = 0.12
"""What is shown around the landmarks, as a share of their height."""
SIDE_RAD = -1.25
LIGHT = (0.3, 0.4, 0.85)
LEAST_SCALE_MM = 1.0
"""What the strongest colour stands for at least: tenths of a millimetre should look as good as they are."""
NAMED = (1, 10, 13, 14, 33, 61, 133, 152, 263, 291, 362, 468, 473)
"""Landmarks whose numbers are written: corners of eyes and mouth, lips, nose, chin, forehead, irises."""
LABEL = (20, 20, 140)
IRIS = (200, 60, 200)


def render_registration(model: FlameModel, correspondence: Correspondence) -> bytes:
    """Return the picture as PNG."""
    residual_mm = 1e3 * correspondence.residual_m[:MESH_COUNT]
    most_mm = max(float(residual_mm.max()), LEAST_SCALE_MM)
    colours = _colours(residual_mm / most_mm)
    views = [_draw(model, correspondence, yaw, colours) for yaw in (0.0, SIDE_RAD)]
    width = sum(view.shape[1] for view in views) + MARGIN * (len(views) + 1)
    image: Image = np.full((HEADER + HEIGHT + BAR, width, 3), PAPER, np.uint8)
    left = MARGIN
    for view in views:
        image[HEADER : HEADER + HEIGHT, left : left + view.shape[1]] = view
        left += view.shape[1] + MARGIN
    draw_text(image, f"{model.name}: 468 landmarks, off the skin: {residual_text(correspondence)}", (MARGIN, 38), 0.7)
    _draw_scale(image, most_mm)
    done, encoded = cv2.imencode(".png", image)
    assert done
    return bytes(encoded.tobytes())


def residual_text(correspondence: Correspondence) -> str:
    """Return mean, 95th percentile and maximum of the residuals."""
    residual_mm = 1e3 * correspondence.residual_m[:MESH_COUNT]
    p95 = float(np.quantile(residual_mm, 0.95))
    return f"mean {residual_mm.mean():.2f} mm, p95 {p95:.2f} mm, max {residual_mm.max():.2f} mm"


def _colours(share: npt.NDArray[np.floating]) -> Image:
    """OpenCV's blue, green, red [n, 3] of values 0..1: blue is good, red is bad."""
    levels = np.clip(255 * share, 0, 255).astype(np.uint8)
    coloured: Image = cv2.applyColorMap(levels[:, None], cv2.COLORMAP_TURBO)[:, 0]
    return coloured


def _draw(model: FlameModel, correspondence: Correspondence, yaw_rad: float, colours: Image) -> Image:
    """Return the template turned about y, HEIGHT pixels high, with the landmarks that are seen."""
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    vertices = model.template.astype(np.float64) @ turn.T
    places = correspondence.landmarks(model.template).astype(np.float64) @ turn.T
    low, high = places.min(0), places.max(0)
    margin = FRAME * (high[1] - low[1])
    pixel = (high[1] - low[1] + 2 * margin) / HEIGHT
    view = look_at(vertices, model.triangles, pixel)
    image = _shaded(view, vertices, model)
    for number, place in enumerate(places):
        row, column = view.row(place[1]), view.column(place[0])
        if view.depth[row, column] > place[2] + 4 * pixel:  # Behind something.
            continue
        colour = tuple(map(int, colours[number])) if number < MESH_COUNT else IRIS
        cv2.circle(image, (column, row), 3, colour, -1, cv2.LINE_AA)
        if number in NAMED:
            cv2.putText(
                image, str(number), (column + 5, row - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.36, LABEL, 1, cv2.LINE_AA
            )
    part = np.full((HEIGHT, round((high[0] - low[0] + 2 * margin) / pixel), 3), PAPER, np.uint8)
    top, left = view.row(high[1] + margin), view.column(low[0] - margin)
    rows, columns = (slice(max(first, 0), first + size) for first, size in ((top, HEIGHT), (left, part.shape[1])))
    shown = image[rows, columns]
    down, right = max(-top, 0), max(-left, 0)
    part[down : down + shown.shape[0], right : right + shown.shape[1]] = shown
    return part


def _shaded(view: View, vertices: Float64Array, model: FlameModel) -> Image:
    normals = vertex_normals_of(vertices, model.triangles)[model.triangles].mean(1)
    light = 90 + 150 * np.clip(normals @ LIGHT, 0, 1)
    grey = np.where(view.triangle == UNSEEN, 255, light[view.triangle]).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def _draw_scale(image: Image, most_mm: float) -> None:
    top, width = HEADER + HEIGHT + 18, 300
    image[top : top + 14, MARGIN : MARGIN + width] = _colours(np.linspace(0, 1, width))[None]
    draw_text(image, f"0 to {most_mm:.1f} mm from the bent face to the skin", (MARGIN + width + 12, top + 13), 0.45)
