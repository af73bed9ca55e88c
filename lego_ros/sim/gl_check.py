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
Tell whether this machine can draw the kitchen: ``python -m lego_ros.sim.gl_check``.

A process of its own, because a broken driver may end it.
"""

from __future__ import annotations

import sys

from lego_ros.errors import LegoError
from lego_ros.sim.gl import Canvas
import mujoco


def renderer_name() -> str:
    """
    Draw on a small canvas.

    :returns: what draws, as OpenGL names it, e.g. ``llvmpipe (LLVM 15.0.6, 256 bits)``.
    :raises LegoError: SOURCE_UNREADABLE where nothing can.
    """
    model = mujoco.MjModel.from_xml_string('<mujoco/>')
    canvas = Canvas(model, 16, 16, 0)
    try:
        with canvas.current():
            from OpenGL import GL

            return str(GL.glGetString(GL.GL_RENDERER).decode())
    finally:
        canvas.close()


def main() -> int:
    """
    Check and say so.

    :returns: exit status: 1 where the kitchen cannot be drawn.
    """
    try:
        print(f'OpenGL: {renderer_name()}')
    except LegoError as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
