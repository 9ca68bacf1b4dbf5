"""FLAME for fitting and training: the maths of ``skinning`` in torch, batched and differentiable.

Equation numbers are those of Li et al. 2017, section 3.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from facewire.models.flame.model import JOINTS, FlameModel


class TorchSkinned(NamedTuple):
    """A batch of posed heads, metres."""

    vertices: Tensor
    """[b, v, 3]."""
    joints: Tensor
    """[b, 5, 3], as posed."""
    transforms: Tensor
    """[b, 5, 3, 4]: what each joint does to a point of the unposed head."""


class TorchFlame(nn.Module):
    """The model's arrays as buffers; ``forward`` computes in their type, float32 unless told otherwise."""

    template: Tensor
    shape_basis: Tensor
    expression_basis: Tensor
    pose_basis: Tensor
    joint_regressor: Tensor
    weights: Tensor

    def __init__(self, model: FlameModel, dtype: torch.dtype = torch.float32) -> None:
        """Copy the arrays of ``model``."""
        super().__init__()
        self.parents = model.parents.tolist()
        for name in ("template", "shape_basis", "expression_basis", "pose_basis", "joint_regressor", "weights"):
            self.register_buffer(name, torch.tensor(getattr(model, name), dtype=dtype))

    def forward(
        self, shape: Tensor, expression: Tensor, pose: Tensor, translation: Tensor | None = None
    ) -> TorchSkinned:
        """Skin a batch.

        shape [b, ≤ s] and expression [b, ≤ e], the first coefficients of each basis; pose [b, 15], the axis-angles in
        radians of root, neck, jaw, left and right eye; translation [b, 3], metres.
        """
        batch = shape.shape[0]
        # B_S(β; S), equation 3, and J(β) = 𝒥 (T̄ + B_S).
        shaped = self.template + torch.einsum("bk,vdk->bvd", shape, self.shape_basis[:, :, : shape.shape[1]])
        rest = torch.einsum("jv,bvd->bjd", self.joint_regressor, shaped)
        turns = rotations(pose.reshape(batch, len(JOINTS), 3))
        # B_P(θ; P), equation 4, and B_E(ψ; E), equation 5.
        features = (turns[:, 1:] - torch.eye(3, dtype=turns.dtype, device=turns.device)).reshape(batch, -1)
        moved = torch.einsum("bk,vdk->bvd", features, self.pose_basis)
        moved = moved + torch.einsum("bk,vdk->bvd", expression, self.expression_basis[:, :, : expression.shape[1]])
        world, joints = self._chain(turns, rest)
        # G'_k: the joint's transform with its rest place taken out; linear blend skinning, equation 2.
        offset = joints - torch.einsum("bjmn,bjn->bjm", world, rest)
        transforms = torch.cat([world, offset[..., None]], -1)
        blend = torch.einsum("vj,bjmn->bvmn", self.weights, transforms)
        vertices = torch.einsum("bvmn,bvn->bvm", blend[..., :3], shaped + moved) + blend[..., 3]
        if translation is not None:
            shift = translation[:, None]
            transforms = torch.cat([world, (offset + shift)[..., None]], -1)
            vertices, joints = vertices + shift, joints + shift
        return TorchSkinned(vertices, joints, transforms)

    def _chain(self, turns: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
        """Rotation [b, 5, 3, 3] and place [b, 5, 3] of every joint in the world, along the tree."""
        world = [turns[:, 0]]
        places = [rest[:, 0]]
        for k, parent in enumerate(self.parents[1:], start=1):
            world.append(world[parent] @ turns[:, k])
            places.append(places[parent] + torch.einsum("bmn,bn->bm", world[parent], rest[:, k] - rest[:, parent]))
        return torch.stack(world, 1), torch.stack(places, 1)


def rotations(axis_angle: Tensor) -> Tensor:
    """Rodrigues' formula: [..., 3] in radians to [..., 3, 3]; its gradient is finite at no rotation too."""
    squared = (axis_angle * axis_angle).sum(-1)
    small = squared < 1e-8
    angle = torch.where(small, torch.ones_like(squared), squared).sqrt()
    s = torch.where(small, 1 - squared / 6, angle.sin() / angle)[..., None, None]
    # 2 sin²(a/2) is 1 - cos(a) without the loss of digits.
    c = torch.where(small, 0.5 - squared / 24, 2 * ((angle / 2).sin() / angle) ** 2)[..., None, None]
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*axis_angle.shape[:-1], 3, 3)
    eye = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return eye + s * skew + c * (skew @ skew)
