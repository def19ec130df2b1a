"""Images that are nearly the same: written anew, made smaller, a frame later.

One in train and the other in test is a leak, as equal ones are.

Letters: N images of a data set, B of them that are loaded together, S their side, C channels,
P = 256 grey levels of a sketch, E pairs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_SIDE = 16  # of a sketch
_COARSE = 3  # of what a sketch is looked up by: of 100,000 images in 12 s, by 4 in 70 s
# grey levels of 255, on average over a sketch. Of photos, JPEG at quality 50 moves a sketch by 1.3
# at most, half the size by 1.3 in 95 of 100; no two of 5,000 handwritten digits are as near as 1.7
_NEAR = 1.5
# of a sketch's own contrast: what shows hardly anything is near to all that shows as little
_SHARE = 0.1
_BLOCK = 100_000  # pairs that are compared at once, of 256 numbers each


def sketches(images: Array) -> Array:
    """Small grey pictures (B, P) in bytes, of images (B, S, S, C): each level a mean of pixels."""
    means = _means(images.shape[1], _SIDE)
    grey = images.mean(-1, dtype=np.float32)
    small = means @ grey @ means.T
    levels: Array = np.rint(small).astype(np.uint8)
    return levels.reshape(len(images), -1)


def groups(sketches: Array) -> Array:
    """The number of each image's group, (N,), by sketches (N, P): near copies are in one.

    So are copies of copies, as the frames of a film. Every pair is found: where two sketches are
    near, the means of their parts are, and by these a tree looks them up.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    different, group_of = np.unique(sketches, axis=0, return_inverse=True)
    first, second = _pairs(different)
    edges = coo_array((np.ones(len(first)), (first, second)), shape=(len(different),) * 2)
    _, component = connected_components(edges, directed=False)
    return np.asarray(component[group_of.ravel()])


def _pairs(sketches: Array) -> tuple[Array, Array]:
    """The numbers (E,) of two sketches each, of (N, P), that are near."""
    from scipy.spatial import cKDTree

    levels = sketches.astype(np.float32)
    contrast = np.abs(levels - levels.mean(1, keepdims=True)).mean(1)
    limit = np.minimum(_NEAR, _SHARE * contrast)
    shows = np.flatnonzero(limit > 1 / levels.shape[1])
    means = _means(_SIDE, _COARSE)
    coarse = means @ levels[shows].reshape(-1, _SIDE, _SIDE) @ means.T
    tree = cKDTree(coarse.reshape(-1, _COARSE**2))
    # the mean of parts is as near as the whole, or nearer: the triangle inequality, and rounding
    found = tree.query_pairs(1.001 * _NEAR * _COARSE**2, p=1, output_type="ndarray")
    near = np.zeros(len(found), bool)
    for start in range(0, len(found), _BLOCK):
        first, second = shows[found[start : start + _BLOCK]].T
        distance = np.abs(levels[first] - levels[second]).mean(1)
        near[start : start + _BLOCK] = distance <= np.minimum(limit[first], limit[second])
    first, second = shows[found[near]].T
    return first, second


def _means(side: int, parts: int) -> Array:
    """The weights (parts, side) by which pixels make the mean of each part of a line."""
    borders = np.arange(parts + 1) * side / parts
    pixels = np.arange(side)
    ends = np.minimum(borders[1:, None], pixels + 1)
    shares = (ends - np.maximum(borders[:-1, None], pixels)).clip(min=0)
    weights: Array = shares / shares.sum(1, keepdims=True)
    return weights.astype(np.float32)
