"""Writes the mapping table as a page for people: ``python -m facewire.bridge.mapping.export_docs``."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from facewire.bridge.mapping import Row, Section, read_table

FILE = Path("docs/mapping.md")
HEAD = """\
# What other programs call what a face does

Written by `bridge/mapping/export_docs.py` from `bridge/mapping/table.json`, the one place where Facewire translates
ARKit's shapes. The [outputs](outputs.md), `facewire export --names` and the Unity client use the same rows; a test
compares this page and the client's C# with the table.

A target is the weighted sum of ARKit's shapes, or *the greatest* of them; then the number at the end is added, and the
result is kept between 0 and 1 unless its range is given. Left and right are the subject's own. Targets for the pose
are made of `headYaw` (to the subject's left), `headPitch` (down) and `headRoll` in radians, applied in that
order; `headX`, `headY`, `headZ` in metres in camera space; `eyeYawLeft` … (to the subject's left) and `eyePitchLeft` …
(up) in radians. The weights are our own.

To change a row, edit the table, then run the two scripts: `python -m facewire.bridge.mapping.export_docs` and
`… .export_unity`.
"""


def compose() -> str:
    """Return the page."""
    return HEAD + "".join(_section(part) for part in read_table().values())


def _section(part: Section) -> str:
    lines = ["", f"## {part.title}", f"`{part.kind}`, {len(part.rows)} names; {part.source}.", ""]
    lines += ["| target | made of |", "| --- | --- |"]
    lines += [f"| `{row.target}` | {_recipe(row)} |" for row in part.rows]
    if part.spellings:
        lines += ["", "Also spelt: " + ", ".join(f"`{other}` for `{name}`" for other, name in part.spellings.items())]
    if part.unused:
        lines += ["", "ARKit's shapes without a counterpart:"]
        reasons = groupby(sorted(part.unused.items(), key=lambda item: item[1]), key=lambda item: item[1])
        lines += [f"- {why}: {', '.join(f'`{name}`' for name, _ in names)}" for why, names in reasons]
    return "\n".join(lines) + "\n"


def _recipe(row: Row) -> str:
    terms = [f"{_weight(weight)}`{channel}`" for channel, weight in row.weights.items()]
    text = "the greatest of " + ", ".join(terms) if row.op == "max" else " + ".join(terms).replace("+ −", "− ")
    notes = [f"{_number(row.bias)}" if not terms else f"{'+' if row.bias > 0 else '−'} {_number(abs(row.bias))}"]
    text = " ".join([text, *(notes if row.bias else [])]).strip() or "–"
    if row.range != (0.0, 1.0):
        text += f" ({_number(row.range[0])} to {_number(row.range[1])})"
    if row.combines:
        text += "; only if a model has no " + " and ".join(f"`{name}`" for name in row.combines)
    return text + (f"; {row.why}" if row.why else "")


def _weight(weight: float) -> str:
    if abs(weight) == 1:
        return "−" if weight < 0 else ""
    return f"{_number(weight)} "


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "−")


if __name__ == "__main__":
    FILE.write_text(compose(), encoding="utf-8")
    print(f"wrote {FILE}")
