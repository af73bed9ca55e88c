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

"""A scene as one compiled MuJoCo model, and the names of its parts."""

from __future__ import annotations

from functools import cached_property

from lego_ros.sim.furniture import body_xml, furniture_xml, textures_xml
from lego_ros.sim.geometry import Pose
from lego_ros.sim.hands import DIGITS, hand_xml, JOINTS
from lego_ros.sim.objects import LIQUIDS
from lego_ros.sim.scene import Scene
from lego_ros.sim.shapes import capsule, cylinder, ellipsoid, numbers, Part
from lego_ros.sim.vocabulary import HANDS
import mujoco
import numpy as np

STREAM = 0.17
"""Length of poured liquid in the air, metres."""


def _stain_parts(scene: Scene) -> list[Part]:
    assert scene.stain is not None
    x, y, z = scene.stain[1].tolist()
    color = scene.style.stain
    spots = ((0.0, 0.0, 0.055), (0.05, 0.02, 0.032), (-0.045, -0.025, 0.036), (0.0, 0.045, 0.026))
    return [cylinder((x + dx, y + dy, z + 0.0012), r, 0.001, color, 'stain', False)
            for dx, dy, r in spots]


def _effects(scene: Scene) -> list[tuple[str, list[Part], str]]:
    stream = [capsule((0, 0, 0), (0, 0, -STREAM), 0.010, color, f'stream_{liquid}', False)
              for liquid, color in LIQUIDS.items()]
    grains = [ellipsoid((0.018 * ((k * 7) % 5 - 2) / 2, 0.018 * ((k * 3) % 5 - 2) / 2, -0.018 * k),
                        (0.006, 0.006, 0.006), (1.0, 1.0, 1.0), 'grains', False)
              for k in range(7)]
    foam = [ellipsoid((0.03 * dx, 0.03 * dy, 0.02 * dz), (0.022, 0.022, 0.018), (0.92, 0.97, 1.0),
                      'foam', False)
            for dx, dy, dz in ((1, 0, 0), (-1, 0.3, 0), (0, 1, 0.6), (0.2, -1, 0.3))]
    made = [('stream', stream, 'mocap="true"'), ('grains', grains, 'mocap="true"'),
            ('foam', foam, 'mocap="true"')]
    if scene.stain is not None:
        made.append(('stain', _stain_parts(scene), ''))
    return made


def scene_xml(scene: Scene) -> str:
    """
    Write a scene as MJCF.

    :param scene: what to build.
    :returns: the document.
    """
    furniture, assets = furniture_xml(scene.layout, scene.style)
    bodies = [furniture]
    things = [(thing.noun.name, list(thing.shape.parts), 'mocap="true"')
              for thing in scene.things.values()]
    things += [(f'{thing.noun.name}.half', list(thing.shape.half), 'mocap="true"')
               for thing in scene.things.values() if thing.shape.half]
    for name, parts, attributes in things + _effects(scene):
        body, asset = body_xml(name, parts, attributes)
        bodies.append(body)
        assets += asset
    person, light = scene.person, scene.light
    bodies += [hand_xml(side, person.skin, person.sleeve, person.sleeve_start) for side in HANDS]
    ambient = numbers(*light.ambient)
    return (
        '<mujoco><compiler angle="radian" autolimits="false" boundmass="1e-4" '
        'boundinertia="1e-8"/>'
        '<option gravity="0 0 0"/><statistic extent="2" center="0 0.4 1"/>'
        '<visual><quality shadowsize="0" numquads="1" numslices="14" numstacks="8"/>'
        '<map znear="0.02" zfar="4"/>'
        f'<headlight ambient="{ambient}" diffuse="0.18 0.18 0.18" specular="0 0 0"/></visual>'
        f'<default><geom contype="0" conaffinity="0"/></default>'
        f'<asset>{textures_xml(scene.style, scene.seed)}{assets}</asset><worldbody>'
        f'<light directional="true" castshadow="false" pos="0 0 3" '
        f'dir="{numbers(*light.direction.tolist())}" diffuse="{numbers(*light.lamp)}" '
        f'specular="0.15 0.15 0.15"/>'
        f'<body name="head" mocap="true"><camera name="head" fovy="{scene.head.fovy:.5g}"/></body>'
        f'{"".join(bodies)}</worldbody></mujoco>')


class Model:
    """
    A compiled scene with its one state, which :meth:`place` sets.

    :param scene: what it was built from.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.mj = mujoco.MjModel.from_xml_string(scene_xml(scene))
        self.data = mujoco.MjData(self.mj)
        self._mocap = {self.mj.body(k).name: int(self.mj.body_mocapid[k])
                       for k in range(self.mj.nbody) if self.mj.body_mocapid[k] >= 0}
        self._joint = {name: int(self.mj.joint(name).qposadr[0]) for name in scene.layout.fixtures}
        self._fingers = {
            side: np.array([int(self.mj.joint(f'{side}_{digit}_{k}').qposadr[0])
                            for digit in DIGITS for k in (1, 2)]) for side in HANDS}
        self.geom_names = [self.mj.geom(k).name for k in range(self.mj.ngeom)]
        self.alpha = self.mj.geom_rgba[:, 3]
        """(ngeom,) of each geom, 0 where it is not seen; a view of the model's own."""
        self._shown: dict[tuple[str, str], bool] = {}

    def place(self, name: str, pose: Pose) -> None:
        """
        Put a mocap body somewhere.

        :param name: its name.
        :param pose: where.
        """
        k = self._mocap[name]
        self.data.mocap_pos[k] = pose.pos
        self.data.mocap_quat[k] = pose.quat

    def bend(self, side: str, angles: np.ndarray) -> None:
        """
        Set the joints of a hand.

        :param side: which hand.
        :param angles: (JOINTS,) radians, as in :mod:`lego_ros.sim.hands`.
        """
        assert angles.shape == (JOINTS,)
        self.data.qpos[self._fingers[side]] = angles

    def slide(self, fixture: str, value: float) -> None:
        """
        Move a fixture's joint.

        :param fixture: its name.
        :param value: metres or radians, 0 is shut or off.
        """
        self.data.qpos[self._joint[fixture]] = value

    def show(self, roles: dict[tuple[str, str], bool]) -> None:
        """
        Switch what appears and vanishes.

        :param roles: for (body, role) whether its geoms are seen.
        """
        for key, seen in roles.items():
            if self._shown.get(key) is not seen:
                self._shown[key] = seen
                self.alpha[self._roles.get(key, [])] = 1.0 if seen else 0.0

    @cached_property
    def _roles(self) -> dict[tuple[str, str], list[int]]:
        found: dict[tuple[str, str], list[int]] = {}
        for geom, name in enumerate(self.geom_names):
            body, _, role = (*name.split('/'), '', '')[:3]
            if role:
                found.setdefault((body, role), []).append(geom)
        return found

    def locate(self) -> None:
        """Compute where all bodies and geoms are."""
        mujoco.mj_kinematics(self.mj, self.data)

    def update(self) -> None:
        """Compute where all bodies, geoms, cameras and lights are."""
        self.locate()
        mujoco.mj_camlight(self.mj, self.data)

    @cached_property
    def entities(self) -> list[str]:
        """Name of the thing that each geom belongs to, e.g. ``left_hand``, ``mug``, ``tap``."""
        roots = [self.mj.body(int(k)).name for k in self.mj.body_rootid]
        return [roots[int(body)].split('.')[0] for body in self.mj.geom_bodyid]
