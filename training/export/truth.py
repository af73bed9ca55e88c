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
``truth.jsonl``: what the kitchen knows of each annotated action, one line of JSON each.

``pandas.read_json(path, lines=True)`` reads it; ``action_id`` is that of the manifest, so one
merge joins the two.
"""

from __future__ import annotations

from typing import Annotated, Literal

from lego_ros.programs.printing import to_text
from lego_ros.sim.episode import ActionTruth
from lego_ros.sim.programs import program_of
from lego_ros.training.export.observation import Observer
from lego_ros.training.export.splits import noun_of
from lego_ros.training.export.truth_lines import SCHEMA, TruthLine
from pydantic import BaseModel, ConfigDict, Field

Frame = Annotated[int, Field(ge=0)]
Unit = Annotated[float, Field(ge=0.0, le=1.0)]


class _Record(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)


class CriticalFrames(_Record):
    """Frames of the episode, from 0 at 30 per second; see docs/kitchen.md."""

    pre_45: Frame
    pre_30: Frame
    pre_15: Frame
    """The input picture."""
    pre: Frame
    contact: Frame
    pnr: Frame
    """The target picture."""
    post: Frame
    end: Frame
    """The frame after the action's last."""


class Phase(_Record):
    """A sub-action."""

    name: str
    first: Frame
    end: Frame
    """The frame after its last."""


class State(_Record):
    """What is true and what is seen at one frame."""

    frame: Frame
    boxes: dict[str, tuple[Unit, Unit, Unit, Unit]]
    """All that is seen: hands, forearms, things, fixtures; x1, y1, x2, y2 in 0..1."""
    touching: dict[str, tuple[str, ...]]
    """Hand -> what it touches."""
    opening: dict[str, float]
    """Fixture -> 0 shut or off .. 1 open or on."""
    running: bool
    """Whether water runs."""
    location: dict[str, str]
    """Thing -> spot, container or hand."""
    liquid: dict[str, str]
    """Thing -> what it holds; things that hold nothing are left out."""
    cut: tuple[str, ...]
    flipped: tuple[str, ...]
    dirty: tuple[str, ...]
    stained: bool
    """Whether the spill is there."""
    camera_position: tuple[float, float, float]
    """Metres, in the world: x to the right, y away from the person, z up."""
    camera_quaternion: tuple[float, float, float, float]
    """w, x, y, z: from the camera's axes (x right, y up, z backwards) to the world's."""


class TruthRecord(TruthLine):
    """A line of the file; ``action_id`` as the reader of this format gives it to the manifest."""

    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)

    schema_version: Literal['lego_ros/truth/2'] = SCHEMA
    video_id: str
    """As the reader of this format gives it to the manifest."""
    seed: int
    """Of the episode: ``lego_ros.sim.episode.sample_episode(seed)``."""
    number: Frame
    """Of the action in the episode, from 0."""
    split: str
    verb: str
    """Lemma."""
    noun: str
    """Without what tells it from others of its kind: ``drawer``."""
    noun_phrase: str
    """As in the label: ``left drawer``."""
    hand: Literal['left', 'right']
    """The hand that acts."""
    thing: str
    """Entity that is acted on: ``left_drawer``."""
    tool: str
    """Thing that is used, or ''."""
    place: str
    """Spot or container where something goes, or ''."""
    way: str
    """Direction of a push, or ''."""
    label: str
    narration: str
    description: str
    """One detailed sentence, as a person would write it."""
    program: str
    """The action program in its text form; see docs/programs.md."""
    fps: float
    focal: Annotated[float, Field(gt=0)]
    """Focal length as a share of the picture's height; the principal point is its middle."""
    frames: CriticalFrames
    phases: tuple[Phase, ...]
    before: State
    """At the input picture."""
    after: State
    """At the target picture."""


def critical_frames(action: ActionTruth) -> CriticalFrames:
    """
    List an action's critical frames.

    :param action: of an episode.
    :returns: the frames, ``pre_45`` to ``pre_15`` being 1.5 to 0.5 s before ``pre``.
    """
    return CriticalFrames(
        pre_45=action.pre - 45, pre_30=action.pre - 30, pre_15=action.pre - 15, pre=action.pre,
        contact=action.contact, pnr=action.pnr, post=action.post, end=action.end)


def truth_of(observer: Observer, number: int, split: str, action_id: str, video_id: str,
             focal: float) -> TruthRecord:
    """
    Write down what is known of an action.

    :param observer: of its episode.
    :param number: of the action in the episode.
    :param split: of the episode.
    :param action_id: as the format's reader will give it.
    :param video_id: as the format's reader will give it.
    :param focal: focal length as a share of the picture's height.
    :returns: the record.
    """
    action = observer.episode.actions[number]
    choice = action.choice
    # One state before the first action, and one after each.
    (_, begin), (_, end) = observer.episode.worlds[number:number + 2]
    return TruthRecord(
        action_id=action_id, video_id=video_id, seed=observer.episode.seed, number=number,
        split=split, verb=choice.verb, noun=noun_of(choice), noun_phrase=choice.noun,
        hand=choice.hand, thing=choice.target, tool=choice.tool, place=choice.place,
        way=choice.way, label=action.label, narration=action.narration,
        description=action.description, program=to_text(program_of(choice, begin, end)), fps=30.0,
        focal=focal, frames=critical_frames(action),
        phases=tuple(Phase(name=name, first=first, end=end)
                     for name, first, end in action.phases),
        before=_state(observer, action.pre - 15), after=_state(observer, action.pnr))


def _state(observer: Observer, frame: int) -> State:
    truth = observer.truth(frame)
    (x, y, z), (a, b, c, d) = truth.camera.pos, truth.camera.quat
    boxes = {name: observer.corners(frame, name) for name in sorted(observer.seen(frame))}
    return State(
        frame=frame, boxes={name: box for name, box in boxes.items() if box is not None},
        touching=truth.touching,
        opening={name: round(value, 6) for name, value in truth.opening.items()},
        running=bool(truth.running), location=truth.location,
        liquid={noun: liquid for noun, liquid in truth.liquid.items() if liquid},
        cut=tuple(sorted(truth.cut)), flipped=tuple(sorted(truth.flipped)),
        dirty=tuple(sorted(truth.dirty)), stained=truth.stained,
        camera_position=(float(x), float(y), float(z)),
        camera_quaternion=(float(a), float(b), float(c), float(d)))
