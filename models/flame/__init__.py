"""FLAME: the head model of Li, Bolkart, Black, Li and Romero (2017), with the user's file or the open head.

Learning a model of facial shape and expression from 4D scans, ACM Trans. Graph. 36(6), 194. This package holds the
record and its readers, the skinning for live use (numba) and for fitting and training (torch, in ``torch_skinning``,
imported only if it is needed), and the open head that stands in if the user has no file of their own.
"""

from facewire.models.flame.files import ArkitShapes, load_flame, open_flame, open_flame_arkit
from facewire.models.flame.model import JOINTS, FlameModel

__all__ = ["JOINTS", "ArkitShapes", "FlameModel", "load_flame", "open_flame", "open_flame_arkit"]
