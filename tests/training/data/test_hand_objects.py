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

"""EPIC-KITCHENS' hand-object detections: the pickle that is not unpickled, and its messages."""

import math
import os
import pickle
import pickletools
import struct

from hypothesis import given, HealthCheck, settings, strategies
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.hand_objects import (
    DetectedHand,
    DetectedObject,
    FrameDetections,
    HandSide,
    HandState,
    read_hand_objects,
)
from lego_ros.training.data.pickled_bytes import read_pickled_bytes
from lego_ros.training.data.problems import ProblemLog, Reason
from lego_ros.training.data.wire import fields, Message
import pytest


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7f | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def real(field, value):
    return varint(field << 3 | 5) + struct.pack('<f', value)


def chunk(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def encode_box(corners):
    # proto3 writers leave out what is zero.
    return b''.join(real(index, value) for index, value in enumerate(corners, start=1) if value)


def encode_hand(hand):
    offset = b''.join(real(index, value) for index, value in enumerate(hand.offset, start=1))
    return (chunk(1, encode_box(hand.corners)) + real(2, hand.score)
            + (number(3, hand.state) if hand.state else b'') + chunk(4, offset)
            + (number(5, hand.side) if hand.side else b''))


def encode(frame):
    return (chunk(1, frame.video_id.encode()) + number(2, frame.frame)
            + b''.join(chunk(3, encode_hand(hand)) for hand in frame.hands)
            + b''.join(chunk(4, chunk(1, encode_box(thing.corners)) + real(2, thing.score))
                       for thing in frame.objects))


UNIT = strategies.floats(0, 1, width=32)
CORNERS = strategies.tuples(UNIT, UNIT, UNIT, UNIT).map(
    lambda box: (min(box[0], box[2]), min(box[1], box[3]),
                 max(box[0], box[2]), max(box[1], box[3]))).filter(
    lambda box: box[0] < box[2] and box[1] < box[3])
OBJECTS = strategies.builds(DetectedObject, CORNERS, UNIT)
HANDS = strategies.builds(
    DetectedHand, CORNERS, UNIT, strategies.sampled_from(HandState),
    strategies.sampled_from(HandSide),
    strategies.tuples(strategies.floats(-1, 1, width=32), strategies.floats(-1, 1, width=32)))
FRAMES = strategies.builds(
    FrameDetections, strategies.text(min_size=1, max_size=9), strategies.integers(1, 2**31 - 1),
    strategies.lists(HANDS, max_size=3).map(tuple),
    strategies.lists(OBJECTS, max_size=4).map(tuple))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=strategies.lists(FRAMES, max_size=4), protocol=strategies.integers(3, 5),
       optimized=strategies.booleans())
def test_what_was_written_is_read(tmp_path, frames, protocol, optimized):
    path = tmp_path / 'P01_01.pkl'
    data = pickle.dumps([encode(frame) for frame in frames], protocol)
    path.write_bytes(pickletools.optimize(data) if optimized else data)
    log = ProblemLog()
    assert list(read_hand_objects(path, log)) == frames
    assert len(log) == 0


@settings(deadline=None)
@given(value=strategies.integers(-2**31, 2**31 - 1), text=strategies.text(),
       single=strategies.floats(width=32, allow_nan=False), extra=strategies.binary())
def test_kinds_of_fields(value, text, single, extra):
    data = (number(1, value) + chunk(2, text.encode()) + real(3, single)
            + chunk(900, extra) + varint(7 << 3 | 1) + bytes(8) + number(1, 5) + number(1, value))
    message = Message(data)
    assert (message.int32(1), message.text(2), message.float32(3)) == (value, text, single)
    assert (message.int32(50), message.text(50), message.float32(50)) == (0, '', 0.0)
    assert (message.message(50), message.messages(50)) == (None, [])
    for call in (message.text, message.float32, message.message):
        with pytest.raises(ValueError, match='wire type 0'):
            call(1)


def test_a_message_field_that_is_there_twice_is_merged():
    message = Message(chunk(1, real(1, 0.25)) + chunk(1, real(2, 0.5) + real(1, 0.75)))
    assert (message.message(1).float32(1), message.message(1).float32(2)) == (0.75, 0.5)
    assert len(message.messages(1)) == 2


@settings(deadline=None)
@given(data=strategies.binary(max_size=60))
def test_noise_is_read_or_refused_with_a_value_error(data):
    try:
        total = sum(1 for _ in fields(data))
    except ValueError:
        return
    assert total <= len(data)


@settings(deadline=None)
@given(frame=FRAMES, share=strategies.floats(0, 1, exclude_max=True))
def test_a_cut_message_never_passes_for_another(frame, share):
    data = encode(frame)
    cut = data[:int(len(data) * share)]
    try:
        whole = b''.join(
            {0: lambda n, v: number(n, v), 2: chunk}[kind](field, value)
            for field, kind, value in fields(cut))
    except ValueError:
        return
    # What can be read is a run of whole fields.
    assert data.startswith(whole) or whole == cut


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize('protocol', range(6))
def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(tmp_path, protocol):
    path = tmp_path / 'P01_01.pkl'
    for value in (Evil(str(tmp_path / 'ran')), [b'x', Evil(str(tmp_path / 'ran'))]):
        path.write_bytes(pickle.dumps(value, protocol))
        with pytest.raises(LegoError, match=r'P01_01\.pkl.*opcode \w+ at byte \d+') as caught:
            read_pickled_bytes(path)
        assert caught.value.code is ErrorCode.SOURCE_UNREADABLE
        assert not (tmp_path / 'ran').exists()
    # The same file is dangerous indeed.
    pickle.loads(path.read_bytes())
    assert (tmp_path / 'ran').is_dir()


def assemble(*opcodes):
    return b'\x80\x04' + b''.join(opcodes) + b'.'


@pytest.mark.parametrize(('data', 'message'), [
    (b'cos\nsystem\n(S"true"\ntR.', 'GLOBAL'),
    (assemble(b'\x8c\x02os\x8c\x06system\x93'), 'SHORT_BINUNICODE'),
    (assemble(b'ios\nsystem\n'), 'INST'), (assemble(b'R'), 'REDUCE'), (assemble(b'b'), 'BUILD'),
    (assemble(b'Pid\n'), 'PERSID'), (assemble(b'\x81'), 'NEWOBJ'), (assemble(b'}'), 'EMPTY_DICT'),
    (pickle.dumps([1, 2]), 'BININT1'), (pickle.dumps({'a': b'x'}), 'EMPTY_DICT'),
    (pickle.dumps('text'), 'BINUNICODE'), (pickle.dumps((b'x',)), 'TUPLE1'),
    (pickle.dumps(b'x'), 'no list'), (pickle.dumps([[b'x']]), 'no byte string'),
    (assemble(b']h\x05'), 'names nothing'), (assemble(b'e'), 'no MARK'),
    (assemble(b'a'), 'empty stack'), (assemble(b']C\x01x'), 'no list'), (assemble(), 'no list'),
    (assemble(b'C\x01x', b'(C\x01ye'), 'without a list'), (assemble(b'(]e'), 'empty stack'),
    (pickle.dumps([b'x' * 100])[:-40], 'not a pickled list'), (b'', 'not a pickled list'),
    (pickle.dumps([b'x']) + b'more', 'follow'), (b'hello', 'not a pickled list'),
    (b'\x80\x03]\x8e' + struct.pack('<Q', 1 << 40) + b'a.', 'not a pickled list'),
])
def test_everything_but_a_list_of_bytes_is_refused(tmp_path, data, message):
    path = tmp_path / 'x.pkl'
    path.write_bytes(data)
    with pytest.raises(LegoError, match=message):
        read_pickled_bytes(path)


@settings(deadline=None)
@given(data=strategies.binary(max_size=80))
def test_noise_is_no_pickle(tmp_path_factory, data):
    path = tmp_path_factory.mktemp('noise') / 'x.pkl'
    path.write_bytes(data)
    try:
        values = read_pickled_bytes(path)
    except LegoError:
        return
    assert all(type(value) is bytes for value in values)


def test_the_same_bytes_twice(tmp_path):
    value = b'x' * 300
    for protocol in (3, 4, 5):
        (tmp_path / 'x.pkl').write_bytes(pickle.dumps([value, value, b'y'], protocol))
        assert read_pickled_bytes(tmp_path / 'x.pkl') == [value, value, b'y']


def test_size_is_bounded_and_a_missing_file_named(tmp_path):
    (tmp_path / 'x.pkl').write_bytes(pickle.dumps([b'x' * 1000]))
    with pytest.raises(LegoError, match='larger than 100 bytes'):
        read_pickled_bytes(tmp_path / 'x.pkl', max_size=100)
    with pytest.raises(LegoError, match=r'none\.pkl'):
        read_pickled_bytes(tmp_path / 'none.pkl')


def hand(corners=(0.4, 0.4, 0.6, 0.6), state=HandState.PORTABLE_OBJECT, offset=(0.2, 0.0),
         score=0.9, side=HandSide.RIGHT):
    return DetectedHand(corners, score, state, side, offset)


NEAR = DetectedObject((0.6, 0.4, 0.8, 0.6), 0.6)
FAR = DetectedObject((0.0, 0.0, 0.1, 0.1), 0.9)


def test_malformed_frames_are_reported(tmp_path):
    good = FrameDetections('P01_01', 3, (hand(),), (NEAR,))
    flat = FrameDetections('P01_01', 4, (hand(corners=(0.5, 0.5, 0.5, 0.6)),), (FAR,))
    bad = [
        chunk(1, b'P01_01') + number(2, 0), number(2, 5), chunk(1, b'\xff') + number(2, 5),
        encode(good)[:-3], number(1, 5) + number(2, 5),
        chunk(1, b'v') + number(2, 5) + chunk(4, real(2, 0.5)),
        chunk(1, b'v') + number(2, 5) + chunk(4, chunk(1, encode_box(NEAR.corners))
                                              + real(2, math.nan)),
        chunk(1, b'v') + number(2, 5) + chunk(3, encode_hand(hand()) + number(3, 9)),
        chunk(1, b'v') + number(2, 5) + chunk(4, encode_box(NEAR.corners))]
    path = tmp_path / 'x.pkl'
    path.write_bytes(pickle.dumps([encode(good), *bad, encode(flat), encode(good)]))
    log = ProblemLog()
    found = list(read_hand_objects(path, log))
    assert [frame.frame for frame in found] == [3, 4, 3]
    assert (found[1].hands, found[1].objects[0].corners) == ((), pytest.approx(FAR.corners))
    assert [(problem.row, problem.reason) for problem in log] == [
        *((f'element {index}', Reason.MALFORMED) for index in range(1, 10)),
        ('element 10', Reason.BAD_BOX)]


def test_a_hands_object_is_nearest_to_where_it_points():
    frame = FrameDetections('v', 1, (hand(), hand(offset=(-0.4, -0.4))), (FAR, NEAR))
    assert [frame.object_of(each) for each in frame.hands] == [NEAR, FAR]


@pytest.mark.parametrize('state', [HandState.NONE, HandState.SELF, HandState.OTHER_PERSON])
def test_a_hand_that_touches_no_object_has_none(state):
    assert FrameDetections('v', 1, (), (NEAR,)).object_of(hand(state=state)) is None
    assert FrameDetections('v', 1, (), ()).object_of(hand()) is None


def test_thresholds_and_boxes():
    frame = FrameDetections(
        'v', 1, (hand(), hand(score=0.2), hand(side=HandSide.LEFT, score=0.5)),
        (NEAR, FAR, DetectedObject((0.65, 0.4, 0.75, 0.6), 0.02)))
    sure = frame.above()
    assert (len(sure.hands), sure.objects) == (2, (NEAR, FAR))
    assert len(frame.above(0.1, 0.01).objects) == 3
    assert [(box.role, box.score) for box in sure.boxes('target')] == [
        ('right_hand', 0.9), ('left_hand', 0.5), ('object', 0.6)]
