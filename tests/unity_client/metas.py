"""Write the package's ``.meta`` files: ``python tests/unity_client/metas.py``; ``--check`` only tells what is stale.

Unity knows assets by the GUID in their ``.meta`` file, and scenes and assemblies refer to it, so it must never change:
it is a hash of the path. A moved file keeps its old GUID by an entry in ``MOVED``.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "unity_client"
MOVED: dict[str, str] = {}
"""New path to the path under which the file first appeared."""

PLUGIN = """\
PluginImporter:
  externalObjects: {}
  serializedVersion: 2
  iconMap: {}
  executionOrder: {}
  defineConstraints: []
  isPreloaded: 0
  isOverridable: 0
  isExplicitlyReferenced: 0
  validateReferences: 1
  platformData:
  - first:
      Any:
    second:
      enabled: 0
      settings: {}
  - first:
      Editor: Editor
    second:
      enabled: 0
      settings:
        DefaultValueInitialized: true
  - first:
      WebGL: WebGL
    second:
      enabled: 1
      settings: {}
"""
SCRIPT = """\
MonoImporter:
  externalObjects: {}
  serializedVersion: 2
  defaultReferences: []
  executionOrder: 0
  icon: {instanceID: 0}
"""
IMPORTERS = {
    ".cs": SCRIPT,
    ".asmdef": "AssemblyDefinitionImporter:\n  externalObjects: {}\n",
    ".json": "PackageManifestImporter:\n  externalObjects: {}\n",
    ".md": "TextScriptImporter:\n  externalObjects: {}\n",
    ".bytes": "TextScriptImporter:\n  externalObjects: {}\n",
    ".unity": "DefaultImporter:\n  externalObjects: {}\n",
    ".jslib": PLUGIN,
}
FOLDER = "folderAsset: yes\nDefaultImporter:\n  externalObjects: {}\n"
ENDING = "  userData: \n  assetBundleName: \n  assetBundleVariant: \n"


def guid(path: str) -> str:
    """Return the GUID of the asset at ``path`` inside the package."""
    return hashlib.md5(f"facewire/{MOVED.get(path, path)}".encode(), usedforsecurity=False).hexdigest()


def meta(path: Path) -> str:
    """Return the content of an asset's ``.meta`` file.

    Raises KeyError for a kind of file that the table does not know.
    """
    importer = FOLDER if path.is_dir() else IMPORTERS[path.suffix]
    return f"fileFormatVersion: 2\nguid: {guid(path.relative_to(PACKAGE).as_posix())}\n{importer}{ENDING}"


def assets() -> list[Path]:
    """Return everything in the package that Unity sees, folders too.

    Folders with ``~`` are hidden from it, but what is inside them keeps its ``.meta`` when a sample is imported.
    """
    return sorted(
        path
        for path in PACKAGE.rglob("*")
        if path.suffix != ".meta" and not path.name.endswith("~") and "Documentation~" not in path.parts
    )


def stale() -> list[str]:
    """Return a line for each ``.meta`` that is missing, differs, or belongs to nothing."""
    wanted = {path.with_name(path.name + ".meta"): meta(path) for path in assets()}
    lines = [
        f"{path}: missing or stale" for path, text in wanted.items() if not path.exists() or path.read_text() != text
    ]
    return lines + [f"{path}: belongs to nothing" for path in PACKAGE.rglob("*.meta") if path not in wanted]


def main() -> int:
    """Write or check."""
    if "--check" in sys.argv:
        print("\n".join(stale()))
        return 1 if stale() else 0
    for path in assets():
        path.with_name(path.name + ".meta").write_text(meta(path))
    for path in PACKAGE.rglob("*.meta"):
        if not path.with_suffix("").exists():
            path.unlink()
    print(f"{len(assets())} assets")
    return 0


if __name__ == "__main__":
    sys.exit(main())
