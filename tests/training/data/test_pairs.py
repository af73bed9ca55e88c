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

"""From annotations and videos to pairs: times, the best of seven, the filter, the pictures."""

from fractions import Fraction
import hashlib
import json

import av
import cv2
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.actions import Action, Box, Moment
from lego_ros.training.data.ego4d import read_ego4d
from lego_ros.training.data.epic import read_epic
from lego_ros.training.data.frame_folders import FolderFrames, frame_name
from lego_ros.training.data.frames import VideoFrames
from lego_ros.training.data.manifest import read_manifest
from lego_ros.training.data.manifest_writer import ManifestWriter
from lego_ros.training.data.pairs import (
    PairSettings,
    prepare_part,
    prepare_video,
    resized,
    verdict,
)
from lego_ros.training.data.problems import ProblemLog, Reason
from lego_ros.training.data.scorers import GistCosine, Sharpness
import numpy as np
import pytest

BASE = Fraction(1, 600)


class Darkest:
    """Choose by the painted number: the frame in the list, else the first."""

    name = 'by_number'

    def __init__(self, read, favourites):
        self.read = read
        self.favourites = favourites

    def scores(self, pictures):
        return np.array([float(self.read(picture) in self.favourites) for picture in pictures])


def action(action_id='a', before=1.0, after=2.0, **changes):
    return Action(**{
        'dataset': 'epic-kitchens-100', 'action_id': action_id, 'video_id': 'P01_101',
        'split': 'train', 'narration': 'take cup', 'label': 'take cup', 'verb': 'take',
        'verb_class': 0, 'noun': 'cup', 'noun_class': 13,
        'before': Moment(before, None, 1, 50.0, 'start - 0.25 s'),
        'after': Moment(after, None, 1, 50.0, '0.6'), **changes})


@pytest.fixture
def video(tmp_path, painted):
    """150 frames at 50 per second."""
    return VideoFrames(painted.write(
        tmp_path / 'P01_101.mp4', [12 * index for index in range(150)], BASE),
        name='P01/P01_101.mp4')


LOOSE = PairSettings(lowest=-1.0, highest=1.0, size=128)


def prepare(reader, actions, settings=LOOSE, quality=None):
    log = ProblemLog()
    pairs = list(prepare_video(
        reader, actions, settings, quality or Sharpness(), GistCosine(), log))
    return pairs, list(log)


def decode(jpeg):
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1), cv2.COLOR_BGR2RGB)


def test_the_best_of_seven_is_taken(video, painted):
    # 1.0 s is frame 50, 2.0 s is frame 100.
    (pair,), problems = prepare(
        video, [action()], quality=Darkest(painted.read, {48, 99, 104, 46}))
    assert problems == []
    record = pair.record
    assert [entry.frame for entry in record.input.candidates] == list(range(47, 54))
    assert [entry.frame for entry in record.target.candidates] == list(range(97, 104))
    assert (record.input.frame, record.target.frame) == (48, 99)
    assert painted.read(decode(pair.input_jpeg)) == 48
    assert painted.read(decode(pair.target_jpeg)) == 99
    assert (record.input.time, record.input.asked_time) == (48 / 50, 1.0)
    assert (record.input.base, record.input.asked_base, record.input.fps) == (0, 1, 50.0)


def test_of_equals_the_nearest_is_taken(video, painted):
    (pair,), _ = prepare(video, [action()], quality=Darkest(painted.read, set()))
    assert (pair.record.input.frame, pair.record.target.frame) == (50, 100)
    (pair,), _ = prepare(video, [action()], quality=Darkest(painted.read, {49, 51, 98, 103}))
    assert (pair.record.input.frame, pair.record.target.frame) == (49, 98)


def test_hashes_paths_and_scores(video, tmp_path):
    (pair,), _ = prepare(video, [action()])
    record = pair.record
    pair.write_pictures(tmp_path / 'out')
    for picture, content in ((record.input, pair.input_jpeg), (record.target, pair.target_jpeg)):
        written = (tmp_path / 'out' / picture.path).read_bytes()
        assert written == content
        assert hashlib.sha256(written).hexdigest() == picture.sha256
        assert decode(written).shape == (picture.height, picture.width, 3)
    assert record.input.path != record.target.path
    embeds = GistCosine().embed([decode(pair.input_jpeg), decode(pair.target_jpeg)])
    # Up to what the JPEG loses.
    assert record.similarity == pytest.approx(float(embeds[0] @ embeds[1]), abs=0.01)
    assert record.video == 'P01/P01_101.mp4'
    assert (record.quality_by, record.similarity_by) == ('sharpness', 'gist_cosine')


def test_hands_are_those_of_the_target(video):
    corners = (0.1, 0.1, 0.2, 0.2)
    cases = {
        (): None, (('left_hand', 'input'),): None, (('left_hand', 'target'),): 'left',
        (('right_hand', 'target'), ('object', 'target')): 'right',
        (('right_hand', 'target'), ('left_hand', 'target')): 'both'}
    actions = [action(str(index), boxes=tuple(Box(*which, corners) for which in boxes))
               for index, boxes in enumerate(cases)]
    pairs, _ = prepare(video, actions)
    found = {pair.record.action_id: pair.record for pair in pairs}
    assert [found[str(index)].hand for index in range(5)] == list(cases.values())
    assert [box.role for box in found['3'].boxes] == ['right_hand', 'object']


def test_actions_without_a_pair_are_reported(video):
    pairs, problems = prepare(video, [
        action('late', 1.0, 99.0), action('good'), action('turned', 2.0, 1.0),
        action('beyond', 50.0, 51.0)])
    assert [pair.record.action_id for pair in pairs] == ['good']
    reported = {problem.row: problem.reason for problem in problems}
    assert len(pairs) + len(problems) == 4
    assert reported['late'] is Reason.OUT_OF_VIDEO
    assert reported['turned'] is Reason.WRONG_ORDER
    assert reported['beyond'] is Reason.OUT_OF_VIDEO


def test_a_missing_video_loses_each_action_once(tmp_path):
    pairs, problems = prepare(
        VideoFrames(tmp_path / 'none.mp4'), [action('a'), action('b'), action('c', -1.0)])
    assert pairs == []
    assert sorted((problem.row, problem.reason) for problem in problems) == [
        ('a', Reason.MISSING_VIDEO), ('b', Reason.MISSING_VIDEO), ('c', Reason.OUT_OF_VIDEO)]
    assert 'there is no such file' in problems[0].detail + problems[1].detail


def test_a_choice_that_turns_the_order_is_reported(video, painted):
    # Frames 50 and 52: the best of the input lies behind the best of the target.
    pairs, (problem,) = prepare(
        video, [action('a', 1.0, 1.04)], quality=Darkest(painted.read, {51}))
    assert (pairs, problem.reason, problem.row) == ([], Reason.WRONG_ORDER, 'a')


@pytest.mark.parametrize(('similarity', 'reason'), [
    (0.8099, 'too_different'), (0.81, 'kept'), (0.9, 'kept'), (0.97, 'kept'),
    (0.9701, 'too_similar'), (-1.0, 'too_different'), (1.0, 'too_similar')])
def test_the_filters_bounds(similarity, reason):
    assert verdict(similarity, PairSettings()) == reason


def test_dropped_pairs_stay_in_with_the_reason(video):
    (pair,), _ = prepare(video, [action()], PairSettings(lowest=-1.0, highest=-0.9))
    assert (pair.record.kept, pair.record.reason) == (False, 'too_similar')
    (pair,), _ = prepare(video, [action()], PairSettings(lowest=0.9999, highest=1.0))
    assert (pair.record.kept, pair.record.reason) == (False, 'too_different')


def test_sizes():
    wide = np.zeros((1080, 1920, 3), np.uint8)
    assert resized(wide, PairSettings()).shape == (256, 256, 3)
    assert resized(wide, PairSettings(shape='native')).shape == (256, 455, 3)
    assert resized(wide.transpose(1, 0, 2), PairSettings(shape='native')).shape == (455, 256, 3)
    assert resized(np.zeros((100, 120, 3), np.uint8), PairSettings(shape='native')).shape == (
        256, 307, 3)
    square = np.zeros((256, 256, 3), np.uint8)
    assert resized(square, PairSettings()) is square


@pytest.mark.parametrize('changes', [
    {'neighbours': -1}, {'lowest': 0.98}, {'highest': 1.5}, {'size': 8}, {'shape': 'round'},
    {'jpeg_quality': 0}])
def test_settings_out_of_range(changes):
    with pytest.raises(LegoError) as caught:
        PairSettings(**changes)
    assert caught.value.code is ErrorCode.INVALID_SETTING


def smooth_video(path, count, fps):
    """Write a moving scene that coding keeps: the same pictures in both formats."""
    generator = np.random.default_rng(5)
    grey = cv2.resize(generator.integers(0, 255, (12, 40), np.uint8), (640, 192),
                      interpolation=cv2.INTER_CUBIC)
    # H.264 halves the resolution of colour; that loss is not what is compared.
    scene = np.repeat(grey[..., None], 3, axis=2)
    frames = [np.ascontiguousarray(scene[:, shift:shift + 256])
              for shift in np.linspace(0, 380, count).astype(int)]
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('libx264', rate=fps, options={'crf': '12', 'g': '250'})
        stream.width, stream.height, stream.pix_fmt = 256, 192, 'yuv420p'
        for rgb in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format='rgb24')))
        container.mux(stream.encode())
    return frames


def test_ego4d_and_epic_give_the_same_pair_of_the_same_scene(tmp_path):
    """
    The same action annotated in both formats, with frames at 30 and in a folder at 60.

    It starts at 2.25 s and stops at 4.0 s: input at 2.0 s, target at 3.3 s.
    """
    folder = tmp_path / 'P01_01'
    folder.mkdir()
    for number, rgb in enumerate(smooth_video(tmp_path / 'e.mp4', 361, 60), start=1):
        cv2.imwrite(str(folder / frame_name(number)), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    smooth_video(tmp_path / 'v-1.mp4', 181, 30)
    (tmp_path / 'epic.csv').write_text(
        'narration_id,participant_id,video_id,narration_timestamp,start_timestamp,'
        'stop_timestamp,start_frame,stop_frame,narration,verb,verb_class,noun,noun_class,'
        'all_nouns,all_noun_classes\n'
        "P01_01_0,P01,P01_01,,00:00:02.25,00:00:04.00,135,240,open drawer,open,3,drawer,8,"
        "['drawer'],[8]\n")
    (tmp_path / 'fho_main.json').write_text(json.dumps({'videos': [{
        'video_uid': 'v-1',
        'video_metadata': {'fps': 30.0, 'num_frames': 181, 'width': 256, 'height': 192},
        'annotated_intervals': [{'clip_uid': None, 'redacted': False, 'narrated_actions': [{
            'uid': 'x', 'narration_text': '#C C opens the drawer', 'structured_verb': 'open',
            'critical_frames': {'pre_15': 60, 'pre_frame': 75, 'pnr_frame': 99},
            'frames': [], 'is_valid_action': True, 'is_rejected': False,
            'is_invalid_annotation': False}]}]}]}))
    log = ProblemLog()
    exact = PairSettings(neighbours=0, lowest=-1, highest=1)
    (epic,), _ = prepare(
        FolderFrames(folder, 60.0), list(read_epic(tmp_path / 'epic.csv', 'train', log)), exact)
    (ego4d,), _ = prepare(
        VideoFrames(tmp_path / 'v-1.mp4'),
        list(read_ego4d(tmp_path / 'fho_main.json', lambda uid: 'train', log)), exact)
    assert len(log) == 0
    assert (epic.record.input.frame, epic.record.input.base) == (121, 1)
    assert (ego4d.record.input.frame, ego4d.record.input.base) == (60, 0)
    assert epic.record.input.time == ego4d.record.input.time == 2.0
    assert epic.record.target.time == pytest.approx(3.3)
    assert ego4d.record.target.time == pytest.approx(3.3)
    for one, other in ((epic.input_jpeg, ego4d.input_jpeg), (epic.target_jpeg, ego4d.target_jpeg)):
        assert np.abs(decode(one).astype(int) - decode(other)).mean() < 4
    assert np.abs(decode(epic.input_jpeg).astype(int) - decode(epic.target_jpeg)).mean() > 8


def test_parts_make_a_manifest_however_often_it_is_taken_up(tmp_path, video):
    actions = [action(str(index), 0.2 + index / 10, 1.0 + index / 10) for index in range(12)]
    actions.append(action('late', 1.0, 99.0))
    quality, embedder = Sharpness(), GistCosine()
    results = []
    for folder in (tmp_path / 'a', tmp_path / 'b'):
        writer = ManifestWriter(
            folder / 'pairs.jsonl', ['P01_101'], LOOSE.plan(quality, embedder))
        writer.add('P01_101', *prepare_part(video, actions, LOOSE, quality, embedder, folder))
        summary = writer.finish()
        assert (summary['pairs'], summary['problems']) == (12, {'out_of_video': 1})
        results.append({path.relative_to(folder): path.read_bytes()
                        for path in folder.rglob('*') if path.is_file()})
    assert results[0] == results[1]
    records = list(read_manifest(tmp_path / 'a' / 'pairs.jsonl'))
    assert [record.action_id for record in records] == [str(index) for index in range(12)]
    for record in records:
        for picture in (record.input, record.target):
            content = (tmp_path / 'a' / picture.path).read_bytes()
            assert hashlib.sha256(content).hexdigest() == picture.sha256
    assert len(results[0]) == 24 + 3
