"""Vectors as points of a plane: their first two principal components.

By randomised subspace iteration (Halko, Martinsson and Tropp 2011, https://arxiv.org/abs/0909.4061), which
needs a tenth of the time of the eigenvectors of the whole covariance. The signs are chosen as scikit-learn's
``svd_flip`` does, so that the same data makes the same picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

_SPARE = 8
_ROUNDS = 6
_SEED = 0


class Projection(NamedTuple):
    """Points in the plane, and which share of the variance of the vectors they show."""

    points: npt.NDArray[np.float32]
    explained: float


def project(vectors: npt.NDArray[np.float32]) -> Projection:
    """The points of some vectors, float32 (n, 2); vectors of one dimension have 0 for the second.

    Args:
        vectors: Finite, (n, d); n and d at least 1.
    """
    # Numbers near the end of float32 have squares beyond it.
    scale = float(np.abs(vectors).max()) or 1.0
    centred = vectors / np.float32(scale)
    centred -= centred.mean(axis=0)
    total = float(np.einsum("ij,ij->", centred, centred, dtype=np.float64))
    axes = _axes(centred)
    points = np.zeros((len(vectors), 2), np.float32)
    points[:, : len(axes)] = centred @ axes.T
    shown = float(np.einsum("ij,ij->", points, points, dtype=np.float64))
    return Projection(points * np.float32(scale), shown / total if total else 0.0)


def _axes(centred: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The two directions of largest variance, or the only one."""
    width = min(2 + _SPARE, *centred.shape)
    start = np.random.default_rng(_SEED).standard_normal((centred.shape[1], width), dtype=np.float32)
    basis: Any = np.linalg.qr(centred @ start)[0]
    for _ in range(_ROUNDS):
        basis = np.linalg.qr(centred.T @ basis)[0]
        basis = np.linalg.qr(centred @ basis)[0]
    _, _, found = np.linalg.svd(basis.T @ centred, full_matrices=False)
    axes = found[:2]
    largest = np.abs(axes).argmax(axis=1)
    signs = np.sign(axes[np.arange(len(axes)), largest])
    return np.asarray(axes * np.where(signs == 0, 1, signs)[:, None], np.float32)
