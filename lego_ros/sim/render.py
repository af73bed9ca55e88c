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

"""Pictures of an episode's frames: colours, masks and boxes, without a display."""

from __future__ import annotations

from dataclasses import dataclass
import math

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.sim.episode import Episode
from lego_ros.sim.gl import Canvas
import mujoco
import numpy as np

_LARGEST = 1920, 1080


@dataclass(frozen=True)
class Intrinsics:
    """
    Pinhole camera with square pixels and no distortion.

    :param width: pixels.
    :param height: pixels.
    :param focal: focal length, pixels, the same in x and y.
    :param cx: principal point from the left, pixels (pixel centres at halves).
    :param cy: principal point from the top, pixels.
    """

    width: int
    height: int
    focal: float
    cx: float
    cy: float


@dataclass(frozen=True)
class Seen:
    """
    What is seen of one thing.

    :param mask: (H, W) bool.
    :param box: x, y, width, height in pixels, origin top left, just around the mask.
    """

    mask: np.ndarray
    box: tuple[int, int, int, int]


class Renderer:
    """
    Draws frames of one episode; any frame at once, in any order.

    Owns an OpenGL context: use it as a context manager. Any thread may draw, but only one at a
    time may use the episode.

    :param episode: what to draw.
    :param width: pixels, 16 to 1920.
    :param height: pixels, 16 to 1080.
    :param samples: per pixel, 4, or 0 for half the time and stairs along the edges.
    :raises LegoError: INVALID_SETTING for another size, SOURCE_UNREADABLE where OpenGL is
        missing.
    """

    def __init__(self, episode: Episode, width: int = 256, height: int = 256,
                 samples: int = 4) -> None:
        model = episode.model.mj
        if not (16 <= width <= _LARGEST[0] and 16 <= height <= _LARGEST[1]):
            raise LegoError(ErrorCode.INVALID_SETTING, f'a picture of {width} x {height} was '
                            'asked for; sizes go from 16 x 16 to 1920 x 1080')
        self._episode = episode
        self._size = height, width
        self._canvas = Canvas(model, width, height, samples)
        self._scene = mujoco.MjvScene(model, 600)
        self._option = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = int(model.camera('head').id)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION,
                     mujoco.mjtRndFlag.mjRND_SKYBOX, mujoco.mjtRndFlag.mjRND_HAZE):
            self._scene.flags[flag] = False
        self.names: tuple[str, ...] = tuple(sorted(set(episode.model.entities)))
        number = {name: k for k, name in enumerate(self.names)}
        self._entity = np.array([number[name] for name in episode.model.entities])

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the OpenGL context back; a second time it does nothing."""
        self._canvas.close()

    @property
    def intrinsics(self) -> Intrinsics:
        """Tell the camera's intrinsics at this size; they are the same at all frames."""
        height, width = self._size
        focal = height / 2 / math.tan(math.radians(self._episode.scene.head.fovy) / 2)
        return Intrinsics(width, height, focal, width / 2, height / 2)

    def rgb(self, t: float) -> np.ndarray:
        """
        Draw a frame.

        :param t: frame.
        :returns: (H, W, 3) uint8.
        :raises LegoError: INVALID_SETTING outside of the episode.
        """
        return self._draw(t, False)

    def labels(self, t: float) -> np.ndarray:
        """
        Tell for each pixel what is seen there.

        :param t: frame.
        :returns: (H, W) int16, an index into ``names``; -1 is nothing.
        :raises LegoError: INVALID_SETTING outside of the episode.
        """
        image = self._draw(t, True).astype(np.int32)
        drawn = image[:, :, 0] + image[:, :, 1] * 256 + image[:, :, 2] * 65536
        table = np.full(self._scene.ngeom + 1, -1, dtype=np.int16)
        for geom in self._scene.geoms[:self._scene.ngeom]:
            if geom.segid >= 0 and geom.objtype == mujoco.mjtObj.mjOBJ_GEOM:
                table[geom.segid + 1] = self._entity[geom.objid]
        return table[drawn]

    def seen(self, t: float) -> dict[str, Seen]:
        """
        Return masks and boxes of everything seen at a frame.

        :param t: frame.
        :returns: entity -> what is seen of it: ``left_hand``, ``right_forearm``, ``mug``,
            ``left_drawer``, ``tap``, ``counter``, ...; what is hidden is left out.
        :raises LegoError: INVALID_SETTING outside of the episode.
        """
        labels = self.labels(t)
        found = {}
        for k in np.unique(labels[labels >= 0]):
            mask = labels == k
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            x, y = int(columns[0]), int(rows[0])
            found[self.names[k]] = Seen(mask, (x, y, int(columns[-1]) - x + 1,
                                               int(rows[-1]) - y + 1))
        return found

    def _draw(self, t: float, segments: bool) -> np.ndarray:
        self._episode.apply(t)
        model = self._episode.model
        mujoco.mjv_updateScene(model.mj, model.data, self._option, None, self._camera,
                               mujoco.mjtCatBit.mjCAT_ALL.value, self._scene)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = segments
        self._scene.flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = segments
        height, width = self._size
        rectangle = mujoco.MjrRect(0, 0, width, height)
        image = np.empty((height, width, 3), dtype=np.uint8)
        with self._canvas.current() as buffers:
            mujoco.mjr_render(rectangle, self._scene, buffers)
            mujoco.mjr_readPixels(image, None, rectangle, buffers)
        return np.ascontiguousarray(image[::-1])
