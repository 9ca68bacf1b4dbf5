"""Writes the Unity client's part of the mapping table as C#: ``python -m facewire.bridge.mapping.export_unity``.

The client finds a rig's shapes by name and reads no files, so its recipes are compiled in; a test compares what is
committed with what this writes.
"""

from __future__ import annotations

import re
from pathlib import Path

from facewire.bridge.mapping import MappingError, Row, Section, section

FILE = Path("unity_client/Runtime/Core/Mapping/ShapeRecipeTable.cs")
PREFIXES = {"vrm": ("",), "vroid": ("",), "visemes": ("viseme", "v")}
"""Sections that the client knows, and what rigs write before their names; other spellings come with the first only."""
HEAD = """\
namespace Facewire
{{
    /// <summary>Written by bridge/mapping/export_unity.py from the mapping table; docs/mapping.md shows it.</summary>
    static class ShapeRecipeTable
    {{
        /// <summary>Shape, as <see cref="ShapeName.Full"/>, to "channel weight, channel weight, ...".</summary>
        public static readonly string[,] Rows =
        {{
{table}
        }};

        /// <summary>Other spellings of the same shapes.</summary>
        public static readonly string[,] Spellings =
        {{
{spellings}
        }};
    }}
}}
"""


def compose() -> str:
    """Return the C# file's content.

    Raises:
        MappingError: the table has what the client cannot do.
    """
    table: dict[str, str] = {}
    spellings: dict[str, str] = {}
    for kind, prefixes in PREFIXES.items():
        part = section(kind)
        for row in part.rows:
            if row.weights:
                table[key(prefixes[0] + row.target)] = recipe(part, row)
                spellings |= {key(other + row.target): key(prefixes[0] + row.target) for other in prefixes[1:]}
        spellings |= {key(prefixes[0] + other): key(prefixes[0] + name) for other, name in part.spellings.items()}
    return HEAD.format(
        table="\n".join(f'            {{ "{name}", "{text}" }},' for name, text in table.items()),
        spellings="\n".join(f'            {{ "{other}", "{name}" }},' for other, name in spellings.items()),
    )


def recipe(part: Section, row: Row) -> str:
    """Return a row as the client reads it.

    Raises:
        MappingError: it is more than a sum kept within 0 and 1.
    """
    if row.op != "sum" or row.bias or row.range != (0.0, 1.0):
        raise MappingError(f"{part.kind}: {row.target} is more than a sum, which the Unity client does not have")
    return ", ".join(f"{channel} {weight:g}" for channel, weight in row.weights.items())


def key(name: str) -> str:
    """Return a name as the client's ``ShapeName.Full`` has it: a side at the end, in full, and letters alone."""
    sided = re.sub(r"_L$", "Left", re.sub(r"_R$", "Right", name))
    return re.sub(r"[^a-z0-9]", "", sided.lower())


if __name__ == "__main__":
    FILE.write_text(compose(), encoding="utf-8")
    print(f"wrote {FILE}")
