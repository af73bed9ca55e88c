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

"""OpenGL without a display, by EGL: a GPU's, or Mesa's software rendering."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
import mujoco

# libopengl0 is the smallest package that brings the functions themselves; libegl1 does not.
PACKAGES = 'libegl1 libopengl0 libgl1-mesa-dri'
"""What Debian 12 and Ubuntu 24.04 need for software rendering."""
# A driver that has begun takes 5 ms for the next model, a new one 160 ms: one is kept.
_idle: list[Any] = []


def missing(reason: object) -> LegoError:
    """
    Make the error for a machine that cannot draw.

    :param reason: what the libraries said.
    :returns: SOURCE_UNREADABLE, for the caller to raise.
    """
    return LegoError(
        ErrorCode.SOURCE_UNREADABLE,
        'The kitchen cannot be drawn: OpenGL without a display (EGL) does not work on this '
        f"machine. Install it with 'sudo apt-get install -y {PACKAGES}'. ({reason})")


class Canvas:
    """
    An OpenGL context with the buffers and textures of one model.

    It is current only while :meth:`current` is entered, so that any thread may draw, one at a
    time, and many canvases may be used in turn.

    :param model: what is drawn on it.
    :param width: of the buffer, pixels.
    :param height: of the buffer, pixels.
    :param samples: per pixel, 0 or 4; the cost of 4 is twice that of 0.
    :raises LegoError: SOURCE_UNREADABLE where OpenGL is missing.
    """

    def __init__(self, model: mujoco.MjModel, width: int, height: int, samples: int) -> None:
        quality, size = model.vis.quality, model.vis.global_
        before = quality.offsamples, size.offwidth, size.offheight
        self._gl: Any = _context()
        try:
            with self._gl.as_current():
                # MuJoCo reads from the model how large the buffer shall be.
                quality.offsamples, size.offwidth, size.offheight = samples, width, height
                self.buffers = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50.value)
                mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self.buffers)
        except mujoco.FatalError as error:
            self._gl.free()
            raise missing(error) from error
        finally:
            quality.offsamples, size.offwidth, size.offheight = before

    @contextmanager
    def current(self) -> Iterator[mujoco.MjrContext]:
        """
        Make the context current in this thread, and none or the former afterwards.

        :returns: the buffers to draw with.
        :raises ValueError: it was closed.
        """
        if self._gl is None:
            raise ValueError('the renderer is closed')
        with self._gl.as_current():
            yield self.buffers

    def close(self) -> None:
        """Free buffers and textures; a second time it does nothing."""
        if self._gl is not None:
            with self.current():
                self.buffers.free()
            if _idle:
                self._gl.free()
            else:
                _idle.append(self._gl)
            self._gl = None


def _context() -> Any:
    """Take the idle context or make one; each is owned by one canvas at a time."""
    try:
        return _idle.pop()
    except IndexError:
        return _new_context()


def _new_context() -> Any:
    """Make a context; MuJoCo's module looks for the library as it is imported."""
    try:
        from mujoco.egl import GLContext

        # Pictures are drawn into buffers of their own size; the context's is never seen.
        return GLContext(1, 1)
    # PyOpenGL tells of a missing or broken driver by whatever it stumbles over: AttributeError of
    # a library that is None, ImportError, RuntimeError, ctypes.ArgumentError or an EGLError.
    except Exception as error:
        raise missing(error) from error
