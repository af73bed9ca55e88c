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
An episode as Ego4D v2 annotates it: one element of ``videos`` in ``fho_main.json``.

Written from the format's public documentation. The clip is the whole video, so both kinds of
frame numbers are the same.
"""

from __future__ import annotations

from typing import Any

from lego_ros.sim.episode import ActionTruth
from lego_ros.sim.motion import FPS
from lego_ros.training.export.ids import action_uid, clip_uid, video_uid
from lego_ros.training.export.observation import Observer
from lego_ros.training.export.splits import annotated, noun_of
from lego_ros.training.export.truth import critical_frames

_WINDOW = 4.0
"""Half of an annotation window: Ego4D shows annotators some 8 s around an action [s]."""
_SYNONYMS = {
    'take': 'take_(pick,_grab,_get)', 'put': 'put_(place,_leave,_drop)',
    'cut': 'cut_(trim,_slice,_chop)', 'turn on': 'turn_on_(switch_on,_start,_light)',
    'turn off': 'turn_off_(switch_off)', 'turn over': 'turn_over_(flip)'}
FIELDS = {
    'pre_45': 'pre_45', 'pre_30': 'pre_30', 'pre_15': 'pre_15', 'pre_frame': 'pre',
    'contact_frame': 'contact', 'pnr_frame': 'pnr', 'post_frame': 'post'}
"""Ego4D's names of the critical frames -> the kitchen's."""


def video_element(observer: Observer, frame_count: int, boxed: tuple[str, ...] = tuple(FIELDS)
                  ) -> dict[str, Any]:
    """
    Annotate an episode.

    :param observer: of the episode.
    :param frame_count: of its video.
    :param boxed: the critical frames that get boxes, by Ego4D's names.
    :returns: the element, JSON values.
    """
    seed = observer.episode.seed
    span = {'start_sec': 0.0, 'end_sec': frame_count / FPS, 'start_frame': 0,
            'end_frame': frame_count - 1}
    return {
        'video_uid': video_uid(seed),
        'video_metadata': {
            'fps': float(FPS), 'num_frames': frame_count, 'width': observer.size,
            'height': observer.size, 'video_start_pts': 0, 'video_end_pts': frame_count - 1,
            'video_base_numerator': 1, 'video_base_denominator': FPS,
            'duration_sec': frame_count / FPS},
        'annotated_intervals': [{
            'clip_id': seed, 'clip_uid': clip_uid(seed), **span,
            **{f'clip_{name}': value for name, value in span.items()},
            **{f'clip_parent_{name}': value for name, value in span.items()},
            'narrated_actions': [_action(observer, number, frame_count, boxed)
                                 for number in annotated(observer.episode)]}]}


def _action(observer: Observer, number: int, frame_count: int, boxed: tuple[str, ...]
            ) -> dict[str, Any]:
    action = observer.episode.actions[number]
    known = critical_frames(action)
    critical = {name: int(getattr(known, field)) for name, field in FIELDS.items()}
    start = max(0.0, action.pnr / FPS - _WINDOW)
    end = min(frame_count / FPS, action.pnr / FPS + _WINDOW)
    window = {'start_sec': start, 'end_sec': end, 'start_frame': round(start * FPS),
              'end_frame': min(round(end * FPS), frame_count - 1)}
    return {
        'uid': action_uid(observer.episode.seed, number), **window,
        **{f'clip_{name}': value for name, value in window.items()},
        'narration_text': action.narration, 'narration_timestamp_sec': action.contact / FPS,
        'structured_verb': _SYNONYMS.get(action.choice.verb, action.choice.verb),
        'freeform_verb': None, 'state_transition': None,
        'critical_frames': critical, 'clip_critical_frames': critical,
        'frames': [_frame(observer, action, critical[name], name) for name in boxed],
        'is_valid_action': True, 'is_partial': False, 'is_rejected': False,
        'is_invalid_annotation': False, 'reject_reason': None, 'stage': 'kitchen',
        'warnings': []}


def _frame(observer: Observer, action: ActionTruth, frame: int, name: str) -> dict[str, Any]:
    choice = action.choice
    parts: list[tuple[str, str, str | None]] = [
        (f'{side}_hand', f'{side}_hand', None) for side in observer.hands(frame)]
    changed = observer.changed(frame, choice)
    if changed is not None:
        parts.append(('object_of_change', changed, noun_of(choice)))
    if choice.tool in observer.seen(frame):
        parts.append(('tool', choice.tool, choice.tool))
    return {
        'frame_number': frame, 'clip_frame_number': frame, 'frame_type': name,
        'boxes': [{'object_type': role, 'structured_noun': noun, 'instance_number': 1,
                   'bbox': _rectangle(observer, frame, entity)}
                  for role, entity, noun in parts]}


def _rectangle(observer: Observer, frame: int, entity: str) -> dict[str, float]:
    box = observer.seen(frame)[entity].box
    return dict(zip(('x', 'y', 'width', 'height'), map(float, box), strict=True))
