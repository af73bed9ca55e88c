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

"""The pinhole model of a camera: guessed from its field of view, read from a file, rescaled."""

from __future__ import annotations

from dataclasses import dataclass, replace
import math
from pathlib import Path
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
import yaml

_MAX_FILE_BYTES = 65536
# A resized picture keeps its aspect only up to the rounding of its sides.
_ASPECT_TOLERANCE = 0.02
_IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Calibration:
    """
    The fields of sensor_msgs/CameraInfo, in pixels of a picture of one size.

    :param width: of the picture in pixels.
    :param height: of the picture in pixels.
    :param k: intrinsic matrix, 3 x 3 row by row.
    :param p: projection matrix, 3 x 4 row by row.
    :param r: rectification matrix, 3 x 3 row by row.
    :param d: distortion coefficients of ``distortion_model``.
    :param distortion_model: ``plumb_bob``, ``rational_polynomial`` or ``equidistant``.
    """

    width: int
    height: int
    k: tuple[float, ...]
    p: tuple[float, ...]
    r: tuple[float, ...] = _IDENTITY
    d: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.0)
    distortion_model: str = 'plumb_bob'

    def resized(self, width: int, height: int) -> Calibration:
        """
        Adapt the model to the same picture in another size.

        Pixel centres lie at whole coordinates (REP 104), so the picture begins at -0.5.

        :param width: in pixels.
        :param height: in pixels.
        :returns: the model of the resized picture.
        :raises LegoError: INVALID_SETTING when the picture has another shape: then it was cropped
            or comes from another camera.
        """
        if (width, height) == (self.width, self.height):
            return self
        across, down = width / self.width, height / self.height
        if abs(across / down - 1) > _ASPECT_TOLERANCE:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f'The camera calibration is for {self.width} x {self.height} pixels and cannot '
                f'hold for {width} x {height}: the shape differs. Give the right calibration.')
        return replace(self, width=width, height=height, k=_scaled(self.k, 3, across, down),
                       p=_scaled(self.p, 4, across, down))


def _scaled(matrix: tuple[float, ...], columns: int, across: float,
            down: float) -> tuple[float, ...]:
    """Scale the first two rows of a camera matrix about the picture's corner at -0.5."""
    rows = [matrix[start:start + columns] for start in range(0, len(matrix), columns)]
    last = rows[2]
    # u + 0.5 scales: u' = s u + (s - 1) / 2, and 1 is what the last row makes of the point.
    first = [across * a + (across - 1) / 2 * c for a, c in zip(rows[0], last, strict=True)]
    second = [down * a + (down - 1) / 2 * c for a, c in zip(rows[1], last, strict=True)]
    return (*first, *second, *last)


def pinhole(width: int, height: int, horizontal_fov: float) -> Calibration:
    """
    Guess the model of a camera without distortion from its field of view.

    :param width: in pixels.
    :param height: in pixels.
    :param horizontal_fov: degrees, between 0 and 180.
    :returns: the model, square pixels, principal point in the middle.
    """
    focal = width / 2 / math.tan(math.radians(horizontal_fov) / 2)
    cx, cy = (width - 1) / 2, (height - 1) / 2
    return Calibration(
        width, height,
        k=(focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0),
        p=(focal, 0.0, cx, 0.0, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0))


def load_calibration(path: str | Path) -> Calibration:
    """
    Read a calibration as ROS's camera_calibration writes it.

    :param path: a YAML file with image_width, image_height, camera_matrix, distortion_model,
        distortion_coefficients, rectification_matrix and projection_matrix.
    :returns: the model.
    :raises LegoError: INVALID_SETTING, with the file and what is wrong with it.
    """
    try:
        if Path(path).stat().st_size > _MAX_FILE_BYTES:
            raise ValueError('it is too large for a calibration')
        content = yaml.safe_load(Path(path).read_text('utf-8'))
        if not isinstance(content, dict):
            raise ValueError('it holds no mapping')
        width, height = content['image_width'], content['image_height']
        if not all(isinstance(side, int) and 0 < side <= 16384 for side in (width, height)):
            raise ValueError('image_width and image_height must be numbers of pixels')
        model = content.get('distortion_model', 'plumb_bob')
        if not isinstance(model, str):
            raise ValueError('distortion_model must be a name')
        return Calibration(
            width, height,
            k=_matrix(content, 'camera_matrix', 9),
            p=_matrix(content, 'projection_matrix', 12),
            r=_matrix(content, 'rectification_matrix', 9),
            d=_matrix(content, 'distortion_coefficients', None),
            distortion_model=model)
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = str(error)
    except KeyError as error:
        reason = f'{error} is missing'
    raise LegoError(ErrorCode.INVALID_SETTING,
                    f'The camera calibration {path} cannot be used: {reason}.')


def _matrix(content: dict[str, Any], key: str, count: int | None) -> tuple[float, ...]:
    """Read the numbers of one matrix; ``count`` None = up to the 14 of the longest model."""
    entry = content[key]
    numbers = entry.get('data') if isinstance(entry, dict) else None
    if not isinstance(numbers, list) or not all(
            isinstance(number, (int, float)) and math.isfinite(number) for number in numbers):
        raise ValueError(f'{key} must have data, a list of numbers')
    if len(numbers) != count if count is not None else len(numbers) > 14:
        raise ValueError(f'{key} has {len(numbers)} numbers')
    return tuple(float(number) for number in numbers)
