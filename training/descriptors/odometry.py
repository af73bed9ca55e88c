# Copyright 2026 The lego_ros Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""
Visual odometry: camera motion from the frames alone.

Between sampled frames ORB features are matched, an essential matrix is found by RANSAC and taken
apart into a rotation and a direction (Hartley and Zisserman, Multiple View Geometry, Sec. 9.6).
How far the camera moved cannot be known from one camera, and a pure rotation has no direction:
so translation is told where the features move by more than the rotation explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
import math

import cv2
from lego_ros.training.data.problems import ProblemLog
from lego_ros.training.descriptors.clip import Clip, Part
from lego_ros.training.descriptors.motion import motion_spans, Step
from lego_ros.training.descriptors.sampling import Find, sample, sample_times
import numpy as np

INTERVAL = 0.25
"""Seconds between frames: heads turn by some ten degrees in them at most."""
MOST_FRAMES = 128
SIDE = 480
"""Pixels of the longer side at which features are sought."""
FEATURES = 1000
LEAST_MATCHES = 20
"""Fewer say nothing."""
LEAST_PARALLAX = 0.01
"""Median shift of features beyond the rotation, as a share of the width, that is told."""
TOLERANCE = 1.5
"""Pixels, at :data:`SIDE`, by which a right match may be off."""
SCALE_NOTE = 'by visual odometry: how far it moves is not known'
_PER_STEP = 4


class Odometry:
    """
    Camera motion from frames.

    :param find: says where a video is.
    :param focal: focal length as a share of the picture's width.
    :param log: where frames that cannot be had are reported.
    """

    def __init__(self, find: Find, focal: float, log: ProblemLog) -> None:
        self._find = find
        self._focal = focal
        self._log = log

    def parts(self, video_id: str, clips: Sequence[Clip]) -> list[Part]:
        """See :meth:`Source.parts`; what of the clip could not be followed is said."""
        trackers = [_Tracker(self._focal) for _ in clips]
        frames = sample(self._find(video_id).open(), clips, INTERVAL, MOST_FRAMES, self._log)
        for index, time, rgb in frames:
            trackers[index].take(time, rgb)
        return [tracker.part(len(sample_times(clip, INTERVAL, MOST_FRAMES)))
                for tracker, clip in zip(trackers, clips, strict=True)]


class _Tracker:
    """Follows one clip's frames, of which it keeps the last one's features."""

    def __init__(self, focal: float) -> None:
        self._focal = focal
        # OpenCV's stubs leave the factory out, which its older releases have alone.
        self._orb = cv2.ORB_create(nfeatures=FEATURES)  # type: ignore[attr-defined]
        self._last: tuple[float, np.ndarray, np.ndarray] | None = None
        self._steps: list[Step] = []
        self._count = 0

    def take(self, time: float, rgb: np.ndarray) -> None:
        """Take the clip's next frame."""
        self._count += 1
        points, features = self._features(rgb)
        if self._last is not None and features is not None:
            then, before, known = self._last
            pairs = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(known, features)
            motion = relative_motion(before[[pair.queryIdx for pair in pairs]],
                                     points[[pair.trainIdx for pair in pairs]], self._focal)
            if motion is not None:
                self._steps.append(Step(then, time, *motion))
        # Across a frame without any features nothing can be followed.
        self._last = None if features is None else (time, points, features)

    def part(self, wanted: int) -> Part:
        """Put what was followed into words."""
        note = SCALE_NOTE
        if len(self._steps) < wanted - 1:
            note += f'; {len(self._steps)} of {wanted - 1} steps could be followed'
        if self._count < wanted:
            note += f'; {self._count} of {wanted} frames could be read'
        return Part(motion_spans(_joined(self._steps)), note)

    def _features(self, rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Find features; their places are in widths from the picture's middle."""
        height, width = rgb.shape[:2]
        scale = SIDE / max(height, width)
        gray = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        small = cv2.resize(gray, (round(width * scale), round(height * scale)),
                           interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        points, features = self._orb.detectAndCompute(small, None)
        size = np.array(small.shape[::-1], dtype=np.float64)
        places = np.array([point.pt for point in points], dtype=np.float64).reshape(-1, 2)
        return (places - size / 2) / size[0], features


def relative_motion(before: np.ndarray, after: np.ndarray, focal: float
                    ) -> tuple[np.ndarray, np.ndarray] | None:
    """
    Find how the camera moved between two frames.

    :param before: (N, 2) places of features in the earlier frame, in picture widths from its
        middle: x to the right, y down.
    :param after: (N, 2) of the same in the later frame.
    :param focal: focal length in picture widths.
    :returns: see ``motion.Step``: ``turn`` (3, 3), and ``moved`` (3,), whose length is the
        parallax over the least that is told; None = it cannot be found.
    """
    if len(before) < LEAST_MATCHES:
        return None
    first, second = before / focal, after / focal
    tolerance = TOLERANCE / SIDE / focal
    essential, inliers = cv2.findEssentialMat(
        first, second, np.eye(3), cv2.USAC_ACCURATE, 0.999, tolerance)
    if essential is None or essential.shape != (3, 3):
        return None
    good = inliers.ravel() > 0
    rotation, left = _rotation_alone(first[good], second[good])
    if left < tolerance:
        # The essential matrix of a rotation alone is any; what is taken out of it, chance.
        return rotation.T, np.zeros(3)
    count, rotation, direction, _ = cv2.recoverPose(essential, first, second, np.eye(3),
                                                    mask=inliers)
    if count < LEAST_MATCHES:
        return None
    turned = _homogeneous(first[good]) @ rotation.T
    parallax = float(np.median(np.linalg.norm(
        turned[:, :2] / turned[:, 2:] - second[good], axis=1))) * focal
    # The points' motion is from the earlier camera to the later one; the camera's is its inverse.
    way = -rotation.T @ direction.ravel()
    return rotation.T, way * (parallax / LEAST_PARALLAX)


def _rotation_alone(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, float]:
    """Find the rotation that best turns rays into others (Kabsch), and what it leaves over."""
    rays = [points / np.linalg.norm(points, axis=1, keepdims=True)
            for points in map(_homogeneous, (first, second))]
    good = np.ones(len(first), dtype=bool)
    for _ in range(3):
        u, _, v = np.linalg.svd(rays[1][good].T @ rays[0][good])
        rotation = u @ np.diag([1.0, 1.0, float(np.linalg.det(u @ v))]) @ v
        left = np.linalg.norm(rays[0] @ rotation.T - rays[1], axis=1)
        # Wrong matches along the epipolar lines are among the inliers.
        good = left <= 2 * np.median(left)
    return rotation, float(np.median(left))


def _homogeneous(points: np.ndarray) -> np.ndarray:
    return np.hstack([points, np.ones((len(points), 1))])


def _joined(steps: Sequence[Step]) -> list[Step]:
    """Put steps that follow on each other together, about four to one: words are for seconds."""
    chains: list[list[Step]] = []
    for step in steps:
        if chains and step.start - chains[-1][-1].end < 1e-6:
            chains[-1].append(step)
        else:
            chains.append([step])
    joined = []
    for chain in chains:
        count = math.ceil(len(chain) / _PER_STEP)
        edges = [len(chain) * number // count for number in range(count + 1)]
        joined += [_sum(chain[first:last]) for first, last in pairwise(edges)]
    return joined


def _sum(group: Sequence[Step]) -> Step:
    turn = np.eye(3)
    moved = np.zeros(3)
    for step in group:
        moved = moved + turn @ step.moved
        turn = turn @ step.turn
    return Step(group[0].start, group[-1].end, turn, moved / len(group))
