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
_COARSE = 3  # of what a sketch is looked up by: of 100,000 images in 4 s
# grey levels of 255, on average over a sketch. Of photos, JPEG at quality 50 moves a sketch by 1.3
# at most, half the size by 1.3 in 95 of 100; no two of 5,000 handwritten digits are as near as 1.7
_NEAR = 1.5
# of a sketch's own contrast: what shows hardly anything is near to all that shows as little
_SHARE = 0.1
_BLOCK = 2_000  # sketches that are looked up at once
# nearest ones that a sketch is compared with: the frames of a fixed camera are all near each other,
# and of 20,000 the pairs would fill 8 GB
_MOST = 64


def sketches(images: Array) -> Array:
    """Small grey pictures (B, P) in bytes, of images (B, S, S, C): each level a mean of pixels."""
    means = _means(images.shape[1], _SIDE)
    # as `images.mean(-1)`, which NumPy computes in loops of three numbers
    total = images[..., 0].astype(np.float32)
    for channel in range(1, images.shape[-1]):
        total += images[..., channel]
    grey = total / np.float32(images.shape[-1])
    small = means @ grey @ means.T
    levels: Array = np.rint(small).astype(np.uint8)
    return levels.reshape(len(images), -1)


def groups(sketches: Array) -> Array:
    """The number of each image's group, (N,), by sketches (N, P): near copies are in one.

    So are copies of copies, as the frames of a film. Where two sketches are near, the means of
    their parts are, and by these a tree looks them up: every pair is found, but of a sketch that is
    near to more than 63, those to the nearest ones.
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

    # as bytes: as floats, sketches of 100,000 images and what becomes of them would take 300 MB
    seen = [_seen(sketches[at : at + _BLOCK]) for at in range(0, len(sketches), _BLOCK)]
    contrast, coarse = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    limit = np.minimum(_NEAR, _SHARE * contrast)
    shows = np.flatnonzero(limit > 1 / sketches.shape[1])
    coarse = coarse[shows]
    tree = cKDTree(coarse)
    # the mean of parts is as near as the whole, or nearer: the triangle inequality, and rounding
    reach = 1.001 * _NEAR * _COARSE**2
    found = []
    for start in range(0, len(shows), _BLOCK):
        some = coarse[start : start + _BLOCK]
        _, others = tree.query(some, _MOST, p=1, distance_upper_bound=reach)
        place, column = np.nonzero(others < len(shows))  # as many as are that near
        first, second = shows[start + place], shows[others[place, column]]
        distance = _distance(sketches, first, second)
        near = (distance <= np.minimum(limit[first], limit[second])) & (first != second)
        found.append(np.stack([first[near], second[near]]))
    first, second = np.concatenate([np.zeros((2, 0), int), *found], axis=1)
    return first, second


def _seen(sketches: Array) -> tuple[Array, Array]:
    """The contrast (B,) of sketches (B, P), and the means of their parts (B, 9)."""
    levels = sketches.astype(np.float32)
    contrast = np.abs(levels - levels.mean(1, keepdims=True)).mean(1)
    means = _means(_SIDE, _COARSE)
    parts = means @ levels.reshape(-1, _SIDE, _SIDE) @ means.T
    return contrast, parts.reshape(-1, _COARSE**2)


def _distance(sketches: Array, first: Array, second: Array) -> Array:
    """How far pairs (E,) of sketches (N, P) are apart: grey levels, on average."""
    distance = np.empty(len(first), np.float32)
    for at in range(0, len(first), _BLOCK):
        here = slice(at, at + _BLOCK)
        levels = (sketches[some[here]].astype(np.float32) for some in (first, second))
        distance[here] = np.abs(next(levels) - next(levels)).mean(1)
    return distance


def _means(side: int, parts: int) -> Array:
    """The weights (parts, side) by which pixels make the mean of each part of a line."""
    borders = np.arange(parts + 1) * side / parts
    pixels = np.arange(side)
    ends = np.minimum(borders[1:, None], pixels + 1)
    shares = (ends - np.maximum(borders[:-1, None], pixels)).clip(min=0)
    weights: Array = shares / shares.sum(1, keepdims=True)
    return weights.astype(np.float32)
