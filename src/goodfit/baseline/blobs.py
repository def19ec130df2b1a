"""Round spots that are greener than their surroundings, of any size.

Letters: `base.py`, and D detections of an image, S sizes of a spot.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_laplace, maximum_filter

from goodfit.baseline.base import Array, Baseline, LabelledSamples, Samples
from goodfit.baseline.detections import ap50, commonest, detections, suppressed
from goodfit.contract import DataSpec

# of the Gaussians, in pixels: a spot of radius r answers most to r / sqrt(2)
SIGMAS = (4.0, 5.0, 6.3, 8.0, 10.0, 12.5, 16.0)
# sides of a box in units of sigma; 2 sqrt(2) = 2.83 would fit a disk, and a crown has soft edges
SIDES = (2.0, 2.4, 2.8, 3.2, 3.6, 4.0, 4.5)
_MOST_SHARED = 0.3  # overlap of two boxes that are kept


class Blobs(Baseline):
    """Maxima of the Laplacian of a Gaussian over place and size (Lindeberg 1998).

    On excess green, 2g - r - b of the shares of the colours (Woebbecke et al. 1995). How large the
    box of a spot is, is what gives the best AP at an overlap of 0.5 on validation.
    """

    kinds = ("boxes",)
    inputs = ("image",)
    title = "green blobs"

    def fit(self, train: LabelledSamples, validation: LabelledSamples, spec: DataSpec) -> None:
        """Of train only the commonest class is learned, of images (N, 3, H, W)."""
        self._label = commonest(train.targets["classes"])
        spots = [blobs(image) for image in validation.inputs["image"]]
        scores = []
        for side in SIDES:
            found = np.stack([self._boxes(*each, side) for each in spots])
            scores.append(ap50(found, validation.targets))
        self._side = SIDES[int(np.argmax(scores))]

    def predict(self, samples: Samples) -> Array:
        """The hundred strongest spots of each image, (N, 100, 6)."""
        spots = [blobs(image) for image in samples.inputs["image"]]
        return np.stack([self._boxes(*each, self._side) for each in spots])

    def _boxes(self, centre: Array, sigma: Array, strength: Array, side: float) -> Array:
        """Squares around the centres (D, 2) of spots, without those that a stronger one covers."""
        half = side * sigma[:, None] / 2
        boxes = np.concatenate([centre - half, centre + half], 1)
        kept = suppressed(boxes, strength, _MOST_SHARED)
        return detections(boxes[kept], strength[kept], self._label)


def blobs(image: Array) -> tuple[Array, Array, Array]:
    """Centres (D, 2) as x and y, sigmas (D,) and strengths (D,) of the spots of an image (3, H, W).

    Strengths are above 0: a dark spot is none.
    """
    colours = image.astype(np.float32)
    share = colours / colours.sum(0).clip(1)
    green = 2 * share[1] - share[0] - share[2]

    # times sigma squared, so that spots of all sizes answer alike
    answers = np.stack([-(sigma**2) * gaussian_laplace(green, sigma) for sigma in SIGMAS])
    is_peak = (maximum_filter(answers, (3, 5, 5)) == answers) & (answers > 1e-4)  # (S, H, W)
    size, y, x = is_peak.nonzero()
    centre = np.stack([x, y], 1) + 0.5
    return centre, np.array(SIGMAS)[size], answers[size, y, x]
