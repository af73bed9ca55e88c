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
Ego4D v2: ``fho_main.json`` as actions.

Frames count from 0 at 30 per second. The input is the PRE-15 frame, the target the PNR frame
(LEGO, supplement A). v2 publishes no split with fho_main; the caller knows which video is where.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
import re
from typing import Any, Literal

from lego_ros.training.data.actions import (
    Action,
    Box,
    MAX_TEXT,
    Moment,
    normalised,
    note_bad_box,
    Picture,
)
from lego_ros.training.data.files import unusable
from lego_ros.training.data.json_stream import elements_of, JsonStreamError
from lego_ros.training.data.labels import Actor, parse_narration
from lego_ros.training.data.problems import ProblemLog, Reason
from pydantic import BaseModel, ConfigDict, Field, ValidationError

DATASET = 'ego4d'
FPS = 30.0
Media = Literal['video', 'clip']
_ROLES: dict[str, Any] = {
    'left_hand': 'left_hand', 'right_hand': 'right_hand', 'object_of_change': 'object',
    'tool': 'tool'}
_PICTURE_OF: dict[str, Picture] = {'pre_15': 'input', 'pnr_frame': 'target'}


class _Json(BaseModel):
    """What is read of each object; other members are left alone."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, str_max_length=MAX_TEXT)


class _Metadata(_Json):
    fps: float = Field(gt=0)
    num_frames: int = Field(gt=0)
    width: int = Field(gt=0)
    height: int = Field(gt=0)


class _Video(_Json):
    video_uid: str = Field(min_length=1, pattern=r'^[A-Za-z0-9_-]+$')
    video_metadata: _Metadata
    annotated_intervals: list[Any]


class _Interval(_Json):
    clip_uid: str | None = Field(None, pattern=r'^[A-Za-z0-9_-]+$')
    redacted: bool = False
    narrated_actions: list[Any]


class _Frames(_Json):
    pre_15: int = Field(ge=0)
    pnr_frame: int = Field(ge=0)


class _Rectangle(_Json):
    x: float
    y: float
    width: float
    height: float


class _BoxEntry(_Json):
    object_type: str
    structured_noun: str | None = None
    bbox: _Rectangle


class _FrameEntry(_Json):
    frame_type: str
    boxes: list[Any] | None = None


class _Flags(_Json):
    is_valid_action: bool
    is_rejected: bool
    is_invalid_annotation: bool
    reject_reason: str | None = None
    narration_text: str


class _ActionEntry(_Json):
    uid: str | None = Field(None, min_length=1)
    structured_verb: str | None = None
    critical_frames: _Frames
    clip_critical_frames: _Frames | None = None
    frames: list[_FrameEntry] | None = None


@dataclass(frozen=True)
class _Place:
    """Where in the file something stands."""

    file: Path
    row: str

    @property
    def origin(self) -> tuple[str, str]:
        return str(self.file), self.row

    def action_id(self, video_uid: str) -> str:
        """Make an id for an action without uid, of the last two indices of its place."""
        return '-'.join([video_uid, *re.findall(r'\d+', self.row)[1:]])


def read_ego4d(path: Path, split_of: Callable[[str], str], log: ProblemLog,
               media: Media = 'video') -> Iterator[Action]:
    """
    Read the wearer's valid actions of an ``fho_main.json``.

    The file is read once, one video's annotations at a time (see ``json_stream``). Every narrated
    action is either yielded or reported. A fault in the file's syntax ends the reading there and
    is reported with its position.

    :param path: of the file.
    :param split_of: the split's name for a ``video_uid``.
    :param log: where everything left out is reported.
    :param media: which files the frames will be taken from: the full-scale videos, or the clips,
        whose frame numbers are their own and whose names are the ``clip_uid``.
    :returns: an iterator over the actions, in the file's order.
    :raises LegoError: SOURCE_UNREADABLE, there is no such file.
    """
    seen: set[str] = set()
    count = 0
    try:
        for count, element in enumerate(elements_of(path, 'videos'), start=1):
            place = _Place(path, f'videos[{count - 1}]')
            yield from _read_video(element, split_of, media, seen, place, log)
    except JsonStreamError as error:
        reason = Reason.TRUNCATED if error.truncated else Reason.MALFORMED
        log.add(reason, path, f'after {count} videos', str(error))
    except UnicodeDecodeError as error:
        log.add(Reason.MALFORMED, path, f'after {count} videos', f'not UTF-8: {error}')
    except OSError as error:
        raise unusable(path, f'the Ego4D annotations cannot be read: {error}') from error


def _read_video(element: Any, split_of: Callable[[str], str], media: Media, seen: set[str],
                place: _Place, log: ProblemLog) -> Iterator[Action]:
    video = _validated(_Video, element, place, log)
    if video is None:
        return
    if abs(video.video_metadata.fps - FPS) > 1e-3:
        log.add(Reason.FRAME_RATE, *place.origin,
                f'{video.video_uid}: {video.video_metadata.fps} frames per second; canonical '
                f'videos have {FPS}, and the frame numbers count in them')
        return
    for index, raw_interval in enumerate(video.annotated_intervals):
        here = _Place(place.file, f'{place.row}.annotated_intervals[{index}]')
        interval = _validated(_Interval, raw_interval, here, log)
        if interval is None:
            continue
        if interval.redacted:
            log.add(Reason.REDACTED, *here.origin,
                    f'{video.video_uid}: with {len(interval.narrated_actions)} narrated actions')
            continue
        for number, raw_action in enumerate(interval.narrated_actions):
            action = _read_action(
                raw_action, video, interval, split_of, media,
                _Place(here.file, f'{here.row}.narrated_actions[{number}]'), log)
            if action is None:
                continue
            if action.action_id in seen:
                log.add(Reason.DUPLICATE, *action.origin, f'uid {action.action_id} was before')
                continue
            seen.add(action.action_id)
            yield action


def _read_action(raw: Any, video: _Video, interval: _Interval, split_of: Callable[[str], str],
                 media: Media, place: _Place, log: ProblemLog) -> Action | None:
    flags = _validated(_Flags, raw, place, log)
    if flags is None or not _is_usable(flags, raw, media, interval, place, log):
        return None
    entry = _validated(_ActionEntry, raw, place, log)
    if entry is None:
        return None
    narration = parse_narration(flags.narration_text)
    verb = clean_verb(entry.structured_verb) or narration.verb
    if not verb:
        log.add(Reason.MALFORMED, *place.origin,
                f'neither structured_verb nor narration names a verb: {flags.narration_text!r}')
        return None
    field, frames, video_id = 'critical_frames', entry.critical_frames, video.video_uid
    if media == 'clip' and entry.clip_critical_frames and interval.clip_uid:
        field, frames = 'clip_critical_frames', entry.clip_critical_frames
        video_id = interval.clip_uid
    if frames.pre_15 >= frames.pnr_frame:
        log.add(Reason.WRONG_ORDER, *place.origin,
                f'{field}: pre_15 {frames.pre_15} is not before pnr_frame {frames.pnr_frame}')
        return None
    # A clip's own length is not in the file; its frames are checked when they are taken.
    if media == 'video' and frames.pnr_frame >= video.video_metadata.num_frames:
        log.add(Reason.OUT_OF_VIDEO, *place.origin,
                f'pnr_frame {frames.pnr_frame} of {video.video_metadata.num_frames} frames')
        return None
    boxes = _boxes(entry, video.video_metadata, place, log)
    return Action(
        dataset=DATASET, action_id=entry.uid or place.action_id(video.video_uid),
        video_id=video_id,
        split=split_of(video.video_uid), narration=flags.narration_text,
        label=narration.label or verb, verb=verb, verb_class=None, noun=_noun(entry),
        noun_class=None, before=_moment(frames.pre_15, f'fho_main {field}.pre_15'),
        after=_moment(frames.pnr_frame, f'fho_main {field}.pnr_frame'), boxes=boxes,
        origin=place.origin)


def _is_usable(flags: _Flags, raw: dict[str, Any], media: Media, interval: _Interval,
               place: _Place, log: ProblemLog) -> bool:
    """Apply the rules of validity, in the order in which annotators would name them."""
    if not flags.is_valid_action:
        log.add(Reason.INVALID_ACTION, *place.origin, flags.narration_text)
    elif flags.is_rejected:
        log.add(Reason.REJECTED, *place.origin, flags.reject_reason or 'no reason is given')
    elif flags.is_invalid_annotation:
        log.add(Reason.INVALID_ANNOTATION, *place.origin, flags.narration_text)
    elif _has_other_actor(flags.narration_text, place, log):
        pass
    elif not _has_frames(raw.get('critical_frames')):
        log.add(Reason.NO_CRITICAL_FRAMES, *place.origin,
                'critical_frames lacks pre_15 or pnr_frame')
    elif media == 'clip' and not _has_frames(raw.get('clip_critical_frames')):
        log.add(Reason.NO_CRITICAL_FRAMES, *place.origin,
                'clip_critical_frames lacks pre_15 or pnr_frame')
    elif media == 'clip' and interval.clip_uid is None:
        log.add(Reason.MISSING_VIDEO, *place.origin, 'the interval has no clip_uid: no clip')
    else:
        return True
    return False


def _has_frames(critical: Any) -> bool:
    return isinstance(critical, dict) and all(
        critical.get(name) is not None for name in ('pre_15', 'pnr_frame'))


def _has_other_actor(text: str, place: _Place, log: ProblemLog) -> bool:
    actor = parse_narration(text).actor
    if actor is Actor.WEARER:
        return False
    reason = {Actor.OTHER: Reason.OTHER_PERSON, Actor.UNSURE: Reason.UNSURE}.get(
        actor, Reason.MALFORMED)
    detail = text if reason is not Reason.MALFORMED else f'no tag says who acts: {text!r}'
    log.add(reason, *place.origin, detail)
    return True


def clean_verb(structured: str | None) -> str:
    """
    Take the synonyms off a structured verb.

    :param structured: such as ``take_(pick,_grab,_get)``; None and ``[other]`` name none.
    :returns: such as ``take``; words are parted by spaces; '' = none.
    """
    if not structured or structured.startswith('['):
        return ''
    return structured.split('_(', 1)[0].replace('_', ' ').strip().lower()


def _noun(entry: _ActionEntry) -> str | None:
    """Name the object of change: as the target picture has it, else any other frame."""
    frames = sorted(entry.frames or (), key=lambda frame: frame.frame_type != 'pnr_frame')
    for raw in (box for frame in frames for box in frame.boxes or ()):
        if isinstance(raw, dict) and raw.get('object_type') == 'object_of_change':
            noun = raw.get('structured_noun')
            if isinstance(noun, str) and clean_verb(noun):
                return clean_verb(noun)
    return None


def _boxes(entry: _ActionEntry, metadata: _Metadata, place: _Place, log: ProblemLog
           ) -> tuple[Box, ...]:
    boxes: list[Box] = []
    for frame in entry.frames or ():
        picture = _PICTURE_OF.get(frame.frame_type)
        if picture is None:
            continue
        for raw in frame.boxes or ():
            box = _box(raw, picture, metadata)
            if box is None:
                note_bad_box(log, place.origin, f'{frame.frame_type}: {str(raw)[:200]} in '
                                                f'{metadata.width} x {metadata.height}')
            else:
                boxes.append(box)
    return tuple(boxes)


def _box(raw: Any, picture: Picture, metadata: _Metadata) -> Box | None:
    """Make a box; None = it has another form, an unknown role or no area in the picture."""
    try:
        entry = _BoxEntry.model_validate(raw)
    except ValidationError:
        return None
    area = entry.bbox
    corners = normalised(
        (area.x, area.y, area.x + area.width, area.y + area.height),
        metadata.width, metadata.height)
    role = _ROLES.get(entry.object_type)
    if corners is None or role is None:
        return None
    return Box(role, picture, corners, clean_verb(entry.structured_noun) or None)


def _moment(number: int, source: str) -> Moment:
    return Moment(number / FPS, number, 0, FPS, source)


def _validated(model: Any, raw: Any, place: _Place, log: ProblemLog) -> Any:
    """Check an object; None = it is not of the documented form, and that is reported."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = '.'.join(str(part) for part in first['loc']) or 'the object'
        log.add(Reason.MALFORMED, *place.origin, f'{where}: {first["msg"]}')
        return None
