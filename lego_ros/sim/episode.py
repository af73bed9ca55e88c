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

"""Episodes: a few actions one after the other in one scene, known at every frame."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.sim.actions import ACTIONS, Choice
from lego_ros.sim.annotate import Annotator
from lego_ros.sim.geometry import Pose
from lego_ros.sim.model import Model
from lego_ros.sim.motion import blend
from lego_ros.sim.scene import sample_scene, Scene
from lego_ros.sim.script import Script
from lego_ros.sim.timeline import Timeline
from lego_ros.sim.vocabulary import HANDS
from lego_ros.sim.wishes import WISHES
from lego_ros.sim.world import World
from lego_ros.sim.writer import Touch
import numpy as np

LEAD_IN = 20
"""Frames before the person looks at the first action's place."""
LEAD_OUT = 24
TOLERANCE = 0.008
"""How far a hand may be inside something, metres: the solver's and the meshes' coarseness."""
ARM_TOLERANCE = 0.015
HELD_TOLERANCE = 0.015
"""How far what is held may be inside something other than what it is used on."""
_SCENES = 40
_BEFORE = {'put': 'take', 'close': 'open', 'turn off': 'turn on', 'wash': 'turn on'}
# What can nearly always be done is drawn seldom, so that what needs much comes up as often.
_WEIGHTS = MappingProxyType({
    'open': 0.25, 'close': 0.7, 'take': 0.7, 'put': 0.7, 'turn on': 0.25, 'turn off': 0.7,
    'push': 2.0, 'shake': 2.0, 'stir': 4.0, 'wash': 4.0, 'turn over': 6.0, 'pour': 12.0,
    'wipe': 12.0, 'cut': 16.0})


@dataclass(frozen=True)
class ActionTruth:
    """
    One action of an episode.

    :param choice: verb, noun, hand, target, tool and place.
    :param label: ``open left drawer``.
    :param narration: ``#C C opens the left drawer``.
    :param description: one detailed sentence.
    :param pre: its first frame, when the hand begins to move.
    :param contact: first frame at which the hand or what it holds touches what is acted on.
    :param pnr: the point of no return, when the change is under way and can be seen.
    :param post: the frame at which the change is done.
    :param end: the frame after the last.
    :param phases: (name, first frame, frame after the last) of its sub-actions.
    """

    choice: Choice
    label: str
    narration: str
    description: str
    pre: int
    contact: int
    pnr: int
    post: int
    end: int
    phases: tuple[tuple[str, int, int], ...]

    def phase(self, t: float) -> str:
        """
        Name the sub-action at a frame.

        :param t: frame.
        :returns: its name; '' outside of the action.
        """
        return next((name for name, start, end in self.phases if start <= t < end), '')


@dataclass(frozen=True)
class FrameTruth:
    """
    What is true at one frame, apart from the picture.

    :param frame: its number, from 0.
    :param action: number of the action under way, or None between actions.
    :param phase: the sub-action under way, or ''.
    :param camera: the camera's pose, OpenGL's axes.
    :param hands: hand -> pose.
    :param things: noun -> pose.
    :param touching: hand -> names of things and fixtures it touches.
    :param opening: fixture -> 0 shut or off .. 1 open or on.
    :param running: whether water runs from the tap.
    :param location: noun -> spot, container, or hand; changes at an action's post frame.
    :param liquid: noun -> what it holds, '' for nothing.
    :param cut: nouns that were cut.
    :param flipped: nouns that stand upside down.
    :param dirty: nouns that are dirty.
    :param stained: whether the spill is there.
    """

    frame: int
    action: int | None
    phase: str
    camera: Pose
    hands: dict[str, Pose]
    things: dict[str, Pose]
    touching: dict[str, tuple[str, ...]]
    opening: dict[str, float]
    running: bool
    location: dict[str, str]
    liquid: dict[str, str]
    cut: frozenset[str]
    flipped: frozenset[str]
    dirty: frozenset[str]
    stained: bool


class Episode:
    """
    A scene and what happens in it; made by :func:`sample_episode`.

    :param seed: what it was drawn from.
    :param scene: where it plays.
    :param model: the scene, compiled; :meth:`apply` changes its state.
    :param timeline: all motion.
    :param actions: in order.
    :param touches: which hand was on what, and when.
    :param worlds: (frame, state from then on), the first at frame 0.
    :param frame_count: number of frames at 30 per second.
    """

    def __init__(self, seed: int, scene: Scene, model: Model, timeline: Timeline,
                 actions: tuple[ActionTruth, ...], touches: tuple[Touch, ...],
                 worlds: tuple[tuple[int, World], ...], frame_count: int) -> None:
        self.seed = seed
        self.scene = scene
        self.model = model
        self.timeline = timeline
        self.actions = actions
        self.touches = touches
        self.worlds = worlds
        self.frame_count = frame_count

    def world(self, t: float) -> World:
        """
        Return the symbolic state at a frame.

        :param t: frame.
        :returns: the state; not to be changed.
        """
        return self.worlds[bisect_right([frame for frame, _ in self.worlds], t) - 1][1]

    def apply(self, t: float) -> None:
        """
        Bring the model into the state of a frame.

        :param t: 0 .. frame_count - 1, may be fractional.
        :raises LegoError: INVALID_SETTING outside of the episode.
        """
        if not 0 <= t <= self.frame_count - 1:
            raise LegoError(ErrorCode.INVALID_SETTING, f'frame {t} was asked for of an episode '
                            f'whose frames are 0 to {self.frame_count - 1}')
        self.timeline.apply(self.model, t)

    def truth(self, t: int) -> FrameTruth:
        """
        Return what is true at a frame.

        :param t: frame.
        :returns: the truth; boxes and masks come from the renderer.
        """
        line, world = self.timeline, self.world(t)
        number = next((k for k, action in enumerate(self.actions)
                       if action.pre <= t < action.end), None)
        fixtures = self.scene.layout.fixtures
        return FrameTruth(
            t, number, self.actions[number].phase(t) if number is not None else '',
            line.camera(t), {side: line.pose(f'{side}_hand', t) for side in HANDS},
            {noun: line.pose(noun, t) for noun in self.scene.things},
            {side: tuple(touch.name for touch in self.touches if touch.hand == side
                         and touch.start <= t and (touch.end is None or t < touch.end))
             for side in HANDS},
            {name: line.joints[name].at(t) / fixtures[name].travel for name in fixtures},
            line.looks['tap', 'water'].at(t), dict(world.at), dict(world.liquid),
            frozenset(world.cut), frozenset(world.flipped), frozenset(world.dirty),
            world.stained)


class _Director:
    """Chooses actions that can be done, and drops those in which a hand would hit something."""

    def __init__(self, seed: int, scene: Scene, attempt: int) -> None:
        self.seed = seed
        self.scene = scene
        self.rng = np.random.default_rng([seed, 2, attempt])
        self.model = Model(scene)
        self.script = Script(scene, self.model, self.rng)
        self.actions: list[ActionTruth] = []
        self.worlds: list[tuple[int, World]] = [(0, self.script.world_copy())]
        self.script.wait(LEAD_IN)

    def options(self, verbs: list[str]) -> Iterator[Choice]:
        """Yield choices in random order; verbs that need much or came seldom are preferred."""
        pools = {verb: ACTIONS[verb].choices(self.script.world, self.script) for verb in verbs}
        pools = {verb: pool for verb, pool in pools.items() if pool}
        while pools:
            weights = np.array([self._weight(name) for name in pools])
            verb = list(pools)[int(self.rng.choice(len(pools), p=weights / weights.sum()))]
            pool = pools[verb]
            yield pool.pop(int(self.rng.integers(len(pool))))
            if not pool:
                del pools[verb]

    def _weight(self, verb: str) -> float:
        done = sum(action.choice.verb == verb for action in self.actions)
        return _WEIGHTS[verb] / (1 + 3 * done)

    def try_one(self, verbs: list[str], limit: int = 4) -> bool:
        """Write one action of the given verbs; False where none goes."""
        return any(self._write(choice) for choice in islice(self.options(verbs), limit))

    def _write(self, choice: Choice) -> bool:
        script = self.script
        snapshot = script.snapshot()
        script.record = type(script.record)()
        self._gaze(choice)
        pre = script.frame
        texts = Annotator(script, self.rng).annotate(choice)
        ACTIONS[choice.verb].act(script, choice)
        if script.record.missed or not self._clear(pre, script.frame, choice):
            script.rollback(snapshot)
            return False
        marks = script.record.marks
        self.actions.append(ActionTruth(
            choice, texts.label, texts.narration, texts.description, pre, marks['contact'],
            marks['pnr'], marks['post'], script.frame, tuple(script.record.phases)))
        self.worlds.append((marks['post'], script.world_copy()))
        return True

    def _gaze(self, choice: Choice) -> None:
        """Look where the hands will be, before they move, as people do."""
        script = self.script
        if choice.target in script.scene.layout.fixtures:
            fixture = script.scene.layout.fixtures[choice.target]
            point = script.pose(choice.target).apply(fixture.handle)
        elif choice.target in script.world.at:
            point = script.pose(choice.target).pos
        else:
            assert script.scene.stain is not None
            point = script.scene.stain[1]
        if choice.verb == 'put' and choice.place in script.scene.layout.spots:
            spot = script.scene.layout.spots[choice.place]
            point = script.pose(spot.parent).apply(spot.pos)
        head = script.scene.head
        away = point - head.pos
        yaw = 0.72 * float(np.arctan2(-away[0], away[1]))
        pitch = float(np.arctan2(-away[2], np.hypot(away[0], away[1])))
        goal = np.clip(np.array([yaw, 0.50 * (pitch - 0.84)]), [-0.50, -0.28], [0.50, 0.14])
        start, gap = script.frame, int(self.rng.integers(34, 46)) if self.actions else 36
        turn = blend(script.line.gaze.at(start), goal, start, start + 18)
        script.line.gaze.add(start, turn)
        script.wait(gap)

    def _clear(self, start: int, end: int, choice: Choice) -> bool:
        """Whether no hand, no arm and nothing held goes through anything."""
        clearance = self.script.gripper.clearance
        meant = {choice.target, choice.place, choice.tool}
        hands = [geom for side in HANDS for geom in clearance.hand(side)]
        arms = [geom for side in HANDS for geom in clearance.geoms[side]['forearm']]
        gaps = np.array([-TOLERANCE] * len(hands) + [-ARM_TOLERANCE] * len(arms))
        for t in range(start, end, 3):
            self.script.line.locate(self.model, t)
            if clearance.nearer(hands + arms, gaps):
                return False
            for noun in self._moving(t):
                inside = frozenset({noun, *self.script.world.inside(noun), *meant})
                if clearance.nearer(clearance.thing(noun), -HELD_TOLERANCE, inside):
                    return False
        return True

    def _moving(self, t: float) -> set[str]:
        return {touch.name for touch in self.script.touches
                if touch.name in self.scene.things and touch.start <= t
                and (touch.end is None or t < touch.end)}

    def episode(self) -> Episode:
        """Finish."""
        return Episode(self.seed, self.scene, self.model, self.script.line, tuple(self.actions),
                       tuple(self.script.touches), tuple(self.worlds),
                       self.script.frame + LEAD_OUT)


def sample_episode(seed: int, verb: str | None = None) -> Episode:
    """
    Draw an episode.

    :param seed: decides everything, together with the verb.
    :param verb: lemma of the verb that it is about; drawn by default, those more often that need
        much and would come up seldom.
    :returns: an episode of 1 to 6 actions, in which the verb occurs.
    :raises LegoError: INVALID_SETTING where there is no such verb, or where no action of it could
        be written within 40 scenes.
    """
    if verb is not None and verb not in ACTIONS:
        raise LegoError(ErrorCode.INVALID_SETTING,
                        f'no verb {verb!r} is known; there are {", ".join(sorted(ACTIONS))}')
    rng = np.random.default_rng([seed, 0])
    names = sorted(ACTIONS)
    chances = np.sqrt([_WEIGHTS[name] for name in names])
    lead = verb or names[int(rng.choice(len(names), p=chances / chances.sum()))]
    count = int(rng.integers(1, 7))
    for attempt in range(_SCENES):
        wishes = WISHES[lead]
        wish = wishes[int(rng.integers(len(wishes)))]
        scene = sample_scene(int(rng.integers(2**31)), wish)
        director = _Director(seed, scene, attempt)
        # Where that failed, nothing that came before shall be in the verb's way.
        first = int(rng.integers(0, max(1, count - 1))) if attempt < 3 else 0
        for _ in range(first):
            director.try_one([name for name in names if name != lead])
        if not director.try_one([lead], 8) and not (
                lead in _BEFORE and director.try_one([_BEFORE[lead]])
                and director.try_one([lead], 8)):
            continue
        while len(director.actions) < count and director.try_one(names):
            pass
        return director.episode()
    raise LegoError(ErrorCode.INVALID_SETTING,
                    f'no scene for {lead!r} came of seed {seed}; take another seed')
