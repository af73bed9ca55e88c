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

"""Writing motions into a timeline, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import copy
from dataclasses import dataclass, field

from lego_ros.sim.geometry import Pose, vector
from lego_ros.sim.grasping import Grip, Gripper
from lego_ros.sim.model import Model
from lego_ros.sim.motion import blend, FPS, reach, still
from lego_ros.sim.scene import Scene
from lego_ros.sim.timeline import Timeline
from lego_ros.sim.world import World
import numpy as np


@dataclass
class Record:
    """
    What is noted while an action is written.

    :param phases: (name, first frame, frame after the last).
    :param marks: ``contact``, ``pnr`` and ``post`` -> frame.
    :param missed: whether a hand closed without touching what it should.
    """

    phases: list[tuple[str, int, int]] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)
    missed: bool = False


@dataclass
class Touch:
    """
    A hand on a thing.

    :param hand: ``left`` or ``right``.
    :param name: thing or fixture.
    :param start: first frame.
    :param end: frame after the last; None while it lasts.
    """

    hand: str
    name: str
    start: int
    end: int | None = None


class Writer:
    """
    Writes actions one after the other into a timeline, from the present frame on.

    :param scene: where it plays.
    :param model: the scene, compiled.
    :param rng: source of small variations.
    """

    def __init__(self, scene: Scene, model: Model, rng: np.random.Generator) -> None:
        self.scene = scene
        self.model = model
        self.rng = rng
        self.line = Timeline(scene)
        self.world = World.of(scene)
        self.frame = 0
        self.record = Record()
        self.touches: list[Touch] = []
        self.grips: dict[str, Grip] = {}
        self.gripper = Gripper(model)

    # Looking ahead and taking back.

    def snapshot(self) -> tuple:
        """Return what :meth:`rollback` needs."""
        lengths = {name: track.length for name, track in self.line.tracks().items()}
        return (lengths, self.frame, copy.deepcopy(self.touches), dict(self.grips),
                self.world_copy())

    def rollback(self, snapshot: tuple) -> None:
        """
        Forget everything written since.

        :param snapshot: from :meth:`snapshot`.
        """
        lengths, self.frame, self.touches, self.grips, self.world = snapshot
        for name, track in self.line.tracks().items():
            track.cut(lengths[name])

    def world_copy(self) -> World:
        """Return the present symbolic state, to be kept."""
        w = self.world
        return World(w.scene, dict(w.on), dict(w.at), dict(w.liquid), set(w.cut), set(w.flipped),
                     set(w.dirty), w.stained)

    # Reading the present.

    def pose(self, name: str) -> Pose:
        """
        Return where a body is now.

        :param name: see :meth:`Timeline.pose`.
        :returns: its pose in the world.
        """
        return self.line.pose(name, self.frame)

    def carried(self, side: str, noun: str, thing: Pose) -> Pose:
        """
        Return where a hand must be for the thing it holds to be somewhere.

        :param side: which hand.
        :param noun: what it holds.
        :param thing: where the thing shall be.
        :returns: the hand's pose.
        """
        held = self.pose(f'{side}_hand').inverse() @ self.pose(noun)
        return thing @ held.inverse()

    # Notes.

    def mark(self, name: str, frame: int | None = None) -> None:
        """
        Note a critical frame; the first note stays.

        :param name: ``contact``, ``pnr`` or ``post``.
        :param frame: which; now by default.
        """
        self.record.marks.setdefault(name, self.frame if frame is None else frame)

    def look(self, body: str, role: str, seen: bool, frame: int) -> None:
        """
        Let something appear or vanish.

        :param body: its body.
        :param role: its role.
        :param seen: whether it is seen from then on.
        :param frame: from which frame on.
        """
        if (body, role) in self.line.looks:
            self.line.looks[body, role].add(frame, still(seen))

    # Motions.

    def _frames(self, seconds: float) -> int:
        return max(4, round(seconds * FPS / self.scene.person.tempo))

    def go(self, phase: str, goals: Mapping[str, Pose], lift: float = 0.0,
           fingers: Mapping[str, np.ndarray] | None = None,
           seconds: float | None = None) -> tuple[int, int]:
        """
        Move hands to poses in the world.

        :param phase: name of what is done.
        :param goals: hand -> pose.
        :param lift: metres by which the way is bent upwards.
        :param fingers: hand -> finger angles at the end.
        :param seconds: how long at usual tempo; from the distance by default.
        :returns: first frame and frame after the last.
        """
        start = self.frame
        if seconds is None:
            way = max(float(np.linalg.norm(self.pose(f'{side}_hand').pos - goal.pos))
                      for side, goal in goals.items())
            seconds = 0.28 + 0.95 * way
        end = start + self._frames(seconds)
        for side, goal in goals.items():
            move = reach(self.pose(f'{side}_hand'), goal, start, end, vector(0, 0, lift))
            self.line.bodies[f'{side}_hand'].add(start, _in_world(move))
        for side, angles in (fingers or {}).items():
            bend = blend(self.line.fingers[side].at(start), angles, start, end)
            self.line.fingers[side].add(start, bend)
        self._end_phase(phase, start, end)
        return start, end

    def work(self, phase: str, side: str, way: Callable[[float], Pose],
             seconds: float) -> tuple[int, int]:
        """
        Move a hand along a way.

        :param phase: name of what is done.
        :param side: which hand.
        :param way: share of the time 0..1 -> the hand's pose.
        :param seconds: how long at usual tempo.
        :returns: first frame and frame after the last.
        """
        start = self.frame
        end = start + self._frames(seconds)

        def at(t: float) -> tuple[str, Pose]:
            return '', way(min(1.0, max(0.0, (t - start) / (end - start))))

        self.line.bodies[f'{side}_hand'].add(start, at)
        self._end_phase(phase, start, end)
        return start, end

    def _end_phase(self, phase: str, start: int, end: int) -> None:
        self.record.phases.append((phase, start, end))
        self.frame = end

    def wait(self, frames: int) -> None:
        """
        Let time pass.

        :param frames: how many.
        """
        self.frame += frames

    def attach(self, name: str, parent: str) -> None:
        """
        Let a body move with another from now on.

        :param name: thing or hand.
        :param parent: hand, fixture, thing or '' for the world.
        """
        relative = self.pose(parent).inverse() @ self.pose(name)
        self.line.bodies[name].add(self.frame, still((parent, relative)))

    def turn_fixture(self, phase: str, name: str, value: float,
                     seconds: float) -> tuple[int, int]:
        """
        Move a fixture's joint, and with it the hand that is attached to it.

        :param phase: name of what is done.
        :param name: the fixture.
        :param value: joint value at the end.
        :param seconds: how long at usual tempo.
        :returns: first frame and frame after the last.
        """
        start = self.frame
        end = start + self._frames(seconds)
        old, new = np.array([self.line.joints[name].at(start)]), np.array([value])
        motion = blend(old, new, start, end)
        self.line.joints[name].add(start, lambda t: float(motion(t)[0]))
        self._end_phase(phase, start, end)
        return start, end


def _in_world(motion: Callable[[float], Pose]) -> Callable[[float], tuple[str, Pose]]:
    return lambda t: ('', motion(t))
