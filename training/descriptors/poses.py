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
EPIC-Fields: camera poses of registered frames, as camera motion.

``<video>.json`` holds ``images``: frame name -> [qw, qx, qy, qz, tx, ty, tz], from the world to
the camera, in COLMAP's and OpenCV's axes (epic-fields-code, README). COLMAP's unit of length is
another one in each video, so translation is measured by how far the camera gets around in it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
import json
from pathlib import Path

from lego_ros.training.data.epic import frame_rate
from lego_ros.training.data.files import unusable
from lego_ros.training.data.problems import ProblemLog, Reason
from lego_ros.training.data.visor import frame_number_of
from lego_ros.training.descriptors.clip import Clip, Part
from lego_ros.training.descriptors.motion import moments, motion_spans, Step
import numpy as np

MAX_FILE = 1 << 30
NEAR = 0.25
"""Seconds within which a registered frame stands for a moment: not all frames are registered."""
LEAST_SHARE = 0.04
"""Least translation that is told, as a share of the camera's range in the video: ours."""
NO_POSES = 'this video has no poses'


class Poses:
    """
    Poses of a video's registered frames.

    :param times: (N,) seconds from the video's beginning, ascending.
    :param rotations: (N, 3, 3) from the world's axes to the camera's.
    :param centres: (N, 3) where the camera is, in the world.
    """

    def __init__(self, times: np.ndarray, rotations: np.ndarray, centres: np.ndarray) -> None:
        self.times = times
        self.rotations = rotations
        self.centres = centres
        low, high = np.percentile(centres, [5, 95], axis=0)
        self.unit = max(float(np.linalg.norm(high - low)) * LEAST_SHARE, 1e-9)
        """The least translation that is told."""

    def nearest(self, time: float) -> int | None:
        """
        Find the frame that stands for a moment.

        :param time: seconds from the video's beginning.
        :returns: its index; None = none within :data:`NEAR`.
        """
        place = bisect_left(self.times, time)
        around = [index for index in (place - 1, place) if 0 <= index < len(self.times)]
        best = min(around, key=lambda index: abs(self.times[index] - time))
        return best if abs(self.times[best] - time) <= NEAR else None

    def step(self, first: int, second: int, start: float, end: float) -> Step:
        """
        Tell how the camera moved from one frame to another.

        :param first: index of the earlier frame.
        :param second: of the later one.
        :param start: seconds from the clip's beginning.
        :param end: likewise.
        :returns: the step.
        """
        earlier = self.rotations[first]
        way = earlier @ (self.centres[second] - self.centres[first])
        return Step(start, end, earlier @ self.rotations[second].T, way / self.unit)


class PosesFolder:
    """
    Camera motion from EPIC-Fields.

    :param folder: with ``<video>.json`` files.
    :param log: where frames left out are reported.
    :raises LegoError: SOURCE_UNREADABLE: there is no such folder.
    """

    def __init__(self, folder: Path, log: ProblemLog) -> None:
        if not folder.is_dir():
            raise unusable(folder, 'no such folder of EPIC-Fields poses')
        self._folder = folder
        self._log = log

    def parts(self, video_id: str, clips: Sequence[Clip]) -> list[Part]:
        """See :meth:`Source.parts`; where the camera is not registered, that is said."""
        path = self._folder / f'{video_id}.json'
        if not path.is_file():
            return [Part(note=NO_POSES) for _ in clips]
        poses = read_poses(path, video_id, self._log)
        return [_part(poses, clip) for clip in clips]


def _part(poses: Poses, clip: Clip) -> Part:
    times = moments(clip)
    frames = [poses.nearest(clip.start + time) for time in times]
    steps = [poses.step(first, second, start, end)
             for (start, first), (end, second) in pairwise(zip(times, frames, strict=True))
             if first is not None and second is not None]
    known = sum(frame is not None for frame in frames)
    return Part(motion_spans(steps), '' if known == len(times) else
                f'the camera is registered at {known} of {len(times)} moments')


def read_poses(path: Path, video_id: str, log: ProblemLog) -> Poses:
    """
    Read a video's poses.

    :param path: of the JSON file, at most 1 GiB.
    :param video_id: such as ``P04_101``; its frames count from 1, by EPIC-KITCHENS' rate.
    :param log: where malformed frames are reported.
    :returns: the poses.
    :raises LegoError: SOURCE_UNREADABLE: it is no such file, or has no usable frame.
    """
    found: dict[float, np.ndarray] = {}
    rate = frame_rate(video_id)
    for name, values in _images(path).items():
        try:
            number = frame_number_of(name)
            pose = np.array(values, dtype=np.float64)
            if pose.shape != (7,) or not np.isfinite(pose).all() or not pose[:4].any():
                raise ValueError('not qw, qx, qy, qz, tx, ty, tz')
        except (ValueError, TypeError) as error:
            log.add(Reason.MALFORMED, path, name, str(error))
            continue
        found[(number - 1) / rate] = pose
    if not found:
        raise unusable(path, 'none of its frames has a usable pose')
    times = np.array(sorted(found))
    poses = np.stack([found[time] for time in times])
    rotations = rotations_of(poses[:, :4])
    return Poses(times, rotations, -np.einsum('nji,nj->ni', rotations, poses[:, 4:]))


def rotations_of(quaternions: np.ndarray) -> np.ndarray:
    """
    Make matrices of quaternions.

    :param quaternions: (N, 4) w, x, y, z; of any length but 0.
    :returns: (N, 3, 3) rotations.
    """
    w, x, y, z = (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).T
    return np.stack([
        np.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], axis=-1),
        np.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], axis=-1),
        np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=-1),
    ], axis=1)


def _images(path: Path) -> dict[str, object]:
    try:
        if path.stat().st_size > MAX_FILE:
            raise unusable(path, f'larger than {MAX_FILE} bytes; it is not read')
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise unusable(path, f'the poses cannot be read: {error}') from error
    except (ValueError, RecursionError) as error:
        raise unusable(path, f'it is no JSON; it may be cut off: {error}') from error
    images = value.get('images') if isinstance(value, dict) else None
    if not isinstance(images, dict):
        raise unusable(path, "no EPIC-Fields poses: it has no object 'images'")
    return images
