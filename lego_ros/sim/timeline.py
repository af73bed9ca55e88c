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

"""Everything that moves or changes in an episode, at any frame."""

from __future__ import annotations

import math
from typing import Any

from lego_ros.sim.geometry import (
    cross,
    IDENTITY_QUAT,
    Pose,
    quat_about,
    quat_from_axes,
    quat_multiply,
    vector,
)
from lego_ros.sim.hands import forearm_pose, RELAXED
from lego_ros.sim.model import Model
from lego_ros.sim.motion import FPS, still, Track
from lego_ros.sim.scene import Head, Scene
from lego_ros.sim.vocabulary import HANDS
import numpy as np

Placement = tuple[str, Pose]
"""(parent, pose in the parent's frame); the parent '' is the world."""

Snapshot = dict[str, int]

_NOWHERE = Pose.at(0, 0, -3)
_EFFECTS = ('stream', 'grains', 'foam')


def camera_pose(head: Head, gaze: np.ndarray, t: float) -> Pose:
    """
    Return the camera's frame: x right, y up, looking along -z (OpenGL's convention).

    :param head: the head.
    :param gaze: (2,) yaw and pitch added by looking at something, radians.
    :param t: frame.
    :returns: the pose in the world.
    """
    sway = head.sway[:, 0] * np.sin(2 * math.pi * head.sway[:, 1] * t / FPS + head.sway[:, 2])
    yaw = head.yaw + float(gaze[0] + sway[0])
    pitch = head.pitch + float(gaze[1] + sway[1])
    forward = vector(-math.sin(yaw) * math.cos(pitch), math.cos(yaw) * math.cos(pitch),
                     -math.sin(pitch))
    right = vector(math.cos(yaw), math.sin(yaw), 0)
    upright = quat_from_axes(right, cross(right, forward), -forward)
    return Pose(head.pos + vector(sway[2], sway[3], 0),
                quat_multiply(upright, quat_about(vector(0, 0, 1), head.roll)))


class Timeline:
    """
    Tracks of all hands, things, fixtures, looks and facts.

    :param scene: where it begins.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.joints = {name: Track(still(fixture.travel if name in scene.opened else 0.0))
                       for name, fixture in scene.layout.fixtures.items()}
        self.bodies: dict[str, Track[Placement]] = {}
        for name, thing in scene.things.items():
            spot = scene.layout.spots[thing.spot]
            stands = Pose(spot.pos, Pose.at(0, 0, 0, thing.yaw).quat)
            self.bodies[name] = Track(still((spot.parent, stands)))
            if thing.shape.half:
                self.bodies[f'{name}.half'] = Track(still((name, Pose.at(0, 0, 0))))
        for name in _EFFECTS:
            self.bodies[name] = Track(still(('', _NOWHERE)))
        self.fingers: dict[str, Track[np.ndarray]] = {}
        for side in HANDS:
            self.bodies[f'{side}_hand'] = Track(still(('', rest_pose(scene, side))))
            self.fingers[side] = Track(still(RELAXED))
        self.gaze = Track(still(np.zeros(2)))
        self.looks = {key: Track(still(seen)) for key, seen in self._first_looks().items()}

    def _first_looks(self) -> dict[tuple[str, str], bool]:
        looks: dict[tuple[str, str], bool] = {('stain', 'stain'): True}
        for name, thing in self.scene.things.items():
            for body, parts in ((name, thing.shape.parts), (f'{name}.half', thing.shape.half)):
                for part in parts:
                    if part.role:
                        looks[body, part.role] = part.role == 'whole' or (
                            part.role == 'dirt' and thing.dirty)
        for fixture, role in (('tap', 'water'), ('hob', 'glow')):
            looks[fixture, role] = fixture in self.scene.opened
        for role in ('stream_water', 'stream_juice', 'stream_milk'):
            looks['stream', role] = False
        looks['grains', 'grains'] = looks['foam', 'foam'] = False
        return looks

    def pose(self, name: str, t: float) -> Pose:
        """
        Return where a body is.

        :param name: a thing, ``left_hand``, ``right_hand``, a fixture (its moving part) or ''.
        :param t: frame.
        :returns: its pose in the world.
        """
        return self._pose(name, t, {})

    def _pose(self, name: str, t: float, known: dict[str, Pose]) -> Pose:
        """Return where a body is, and note it in what is known of the frame."""
        found = known.get(name)
        if found is None:
            if not name:
                found = Pose(np.zeros(3), IDENTITY_QUAT)
            elif name in self.joints:
                found = self.scene.layout.fixtures[name].pose(self.joints[name].at(t))
            else:
                parent, found = self.bodies[name].at(t)
                if parent:
                    found = self._pose(parent, t, known) @ found
            known[name] = found
        return found

    def camera(self, t: float) -> Pose:
        """
        Return the camera's frame, see :func:`camera_pose`.

        :param t: frame.
        :returns: the pose in the world.
        """
        return camera_pose(self.scene.head, self.gaze.at(t), t)

    def apply(self, model: Model, t: float) -> None:
        """
        Bring a model into the state of a frame.

        :param model: of the same scene.
        :param t: frame.
        """
        self._move(model, t)
        model.place('head', self.camera(t))
        model.update()

    def locate(self, model: Model, t: float) -> None:
        """
        Bring all but the camera and the lights into the state of a frame.

        :param model: of the same scene.
        :param t: frame.
        """
        self._move(model, t)
        model.locate()

    def _move(self, model: Model, t: float) -> None:
        known: dict[str, Pose] = {}
        for name in self.bodies:
            model.place(name, self._pose(name, t, known))
        for side in HANDS:
            model.place(f'{side}_forearm', forearm_pose(side, known[f'{side}_hand']))
            model.bend(side, self.fingers[side].at(t))
        for name, track in self.joints.items():
            model.slide(name, track.at(t))
        model.show({key: track.at(t) for key, track in self.looks.items()})

    def tracks(self) -> dict[str, Track]:
        """Return every track by a unique name."""
        groups: dict[str, dict[Any, Track]] = {
            'body': self.bodies, 'joint': self.joints, 'fingers': self.fingers,
            'look': self.looks, 'gaze': {'': self.gaze}}
        return {f'{group}/{key}': track for group, tracks in groups.items()
                for key, track in tracks.items()}


def rest_pose(scene: Scene, side: str) -> Pose:
    """
    Return where an idle hand waits.

    :param scene: whose person.
    :param side: which hand.
    :returns: the pose.
    """
    sign = 1 if side == 'right' else -1
    x, y, z = scene.person.rest.tolist()
    across = vector(-0.35 * sign, 1, -0.18)
    back = vector(0.25 * sign, 0.1, 1)
    fingers = across / np.linalg.norm(across)
    back = back - fingers * float(np.dot(back, fingers))
    back = back / np.linalg.norm(back)
    return Pose(vector(sign * x, y, z), quat_from_axes(cross(fingers, back), fingers, back))
