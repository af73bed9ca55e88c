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
Whether a statement about a place is true of a scene, by the boxes of what is seen in it.

Two boxes must not contradict the statement by more than a tolerance. So another landmark than the
annotator's does as well, if what is said of it is true.
"""

from __future__ import annotations

from lego_ros.sim.furniture import COUNTER_Z
from lego_ros.sim.geometry import quat_rotate
from lego_ros.training.evaluation.sentences import Claim
from lego_ros.training.evaluation.things import Named, SURFACES
from lego_ros.training.export.truth import State, TruthRecord
import numpy as np

TOLERANCE = 0.03
"""By how much boxes may contradict a statement, as a part of the picture."""
NEAR = 0.15
"""Widest gap between things that are beside each other, as a part of the picture."""
_THIRD = 0.15
"""Where the middle of the counter ends on either side, in metres, as for the annotator."""
_SLACK = 0.08
"""By how much a thing may stand beyond that, in metres."""
Box = tuple[float, float, float, float]


def holds(claim: Claim, truth: TruthRecord) -> bool | None:
    """
    Judge a statement.

    :param claim: of a sentence.
    :param truth: of the action.
    :returns: whether it is true; None = what it is about is there, but not seen.
    """
    if claim.relation == 'way':
        return claim.value == truth.way
    state = truth.after if claim.goal else truth.before
    subject = _entity(claim.subject, truth)
    assert claim.mark is not None
    mark = _entity(claim.mark, truth)
    if subject is None or mark is None:
        return False
    if subject == mark:
        return None
    if claim.relation == 'within':
        return _within(subject, mark, truth, claim.goal)
    if claim.relation in ('above', 'below') and mark == 'counter':
        return (claim.relation == 'below') == subject.endswith('drawer')
    # What is put somewhere hides its landmark now and then, or is not there yet.
    one, other = state.boxes.get(subject), state.boxes.get(mark) or truth.before.boxes.get(mark)
    if claim.relation == 'side':
        return None if one is None else _on_side(one, claim, state, truth.focal)
    if one is None or other is None:
        return None
    # What lies flat is related to by its middle, what stands by its foot; water runs from a tap
    # to in front of where that stands.
    depth = ((_centre(one)[1] if subject in state.opening else one[3])
             - (_centre(other)[1] if mark in SURFACES else other[3]))
    return _boxes_hold(claim.relation, one, other, depth)


def _entity(named: Named, truth: TruthRecord) -> str | None:
    """Find which thing of the scene is meant; None = there is none."""
    there = {*truth.before.location, *truth.before.boxes, *truth.before.opening}
    there |= {'board', 'counter'} | ({'sink'} if 'tap' in truth.before.opening else set())
    if named.noun in there:
        return named.noun
    if named.side and f'{named.side}_{named.noun}' in there:
        return f'{named.side}_{named.noun}'
    found = sorted(name for name in there if name.rsplit('_', 1)[-1] == named.noun)
    if named.side or not found:
        return None
    return truth.thing if truth.thing in found else found[0]


def _within(subject: str, mark: str, truth: TruthRecord, goal: bool) -> bool | None:
    """Judge "in" and "on" by where things are."""
    place = truth.place if goal and subject == truth.thing else truth.before.location.get(subject)
    # Each container is in another one, the last one at a spot.
    for _ in range(len(truth.before.location) + 1):
        if place is None:
            return None
        row = place.rpartition('_')[0] or place
        if mark in (place, row) or (mark == 'counter' and row.split('_')[0] in ('near', 'far')):
            return True
        place = truth.before.location.get(place, '')
    return False


def _on_side(box: Box, claim: Claim, state: State, focal: float) -> bool:
    """Judge "on the left side": of the counter where that is said, else of the mark's box."""
    if claim.mark is not None and claim.mark.noun != 'counter':
        mark = state.boxes.get(claim.mark.noun)
        if mark is None:
            return False
        x, middle = _centre(box)[0], _centre(mark)[0]
        third = (mark[2] - mark[0]) / 6 + TOLERANCE
        return {'left': x < middle, 'right': x > middle,
                'middle': abs(x - middle) < third}[claim.value]
    x = _counter_x(box, state, focal)
    return {'left': x < -_THIRD + _SLACK, 'right': x > _THIRD - _SLACK,
            'middle': abs(x) < _THIRD + _SLACK}[claim.value]


def _counter_x(box: Box, state: State, focal: float) -> float:
    """Give the world's x [m] of a box's foot on the counter, by the camera's place."""
    u, v = _centre(box)[0] - 0.5, 0.5 - box[3]
    ray = quat_rotate(np.array(state.camera_quaternion), np.array([u / focal, v / focal, -1.0]))
    eye = np.array(state.camera_position)
    return float((eye + ray * (COUNTER_Z - eye[2]) / min(ray[2], -1e-6))[0])


def _boxes_hold(relation: str, one: Box, other: Box, depth: float) -> bool:
    (x, y), (mark_x, mark_y) = _centre(one), _centre(other)
    overlap = min(one[2], other[2]) - max(one[0], other[0]) > -TOLERANCE
    if relation in ('left', 'right'):
        return (x - mark_x) * (1 if relation == 'right' else -1) > -TOLERANCE
    if relation == 'front':
        return depth > -TOLERANCE
    if relation == 'behind':
        return depth < TOLERANCE
    if relation == 'beside':
        return max(one[0] - other[2], other[0] - one[2],
                   one[1] - other[3], other[1] - one[3]) <= NEAR
    return overlap and (mark_y - y) * (1 if relation == 'above' else -1) > -TOLERANCE


def _centre(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
