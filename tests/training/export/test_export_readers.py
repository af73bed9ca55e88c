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

"""What is exported is what the real readers read, and both formats give the same pairs."""

import json
import subprocess
import sys

from lego_ros.sim.episode import sample_episode
from lego_ros.sim.render import Renderer
from lego_ros.training.data.ego4d import read_ego4d
from lego_ros.training.data.epic import read_epic, read_rows
from lego_ros.training.data.epic_classes import read_classes, read_video_info
from lego_ros.training.data.frame_folders import FolderFrames
from lego_ros.training.data.frames import VideoFrames, Window
from lego_ros.training.data.hand_objects import HandState, read_hand_objects
from lego_ros.training.data.layout import epic_annotations
from lego_ros.training.data.manifest import read_manifest
from lego_ros.training.data.pairs import PairSettings, prepare_part
from lego_ros.training.data.problems import ProblemLog
from lego_ros.training.data.scorers import GistCosine, Sharpness
from lego_ros.training.data.splits import find_splits
from lego_ros.training.data.visor import Contact, read_frame_mapping, read_visor
from lego_ros.training.export.clips import write_folder
from lego_ros.training.export.epic_annotations import NOUN_CLASSES, VERB_CLASSES
from lego_ros.training.export.ids import epic_video, video_uid
from lego_ros.training.export.splits import annotated
import numpy as np
import pandas as pd
import pytest

SEEDS = (1387, 1388)
SIZE = 64
ANNOTATIONS = 'epic-kitchens-100-annotations'


def ego4d_actions(exports):
    log = ProblemLog()
    path = exports / 'ego4d/v2/annotations/fho_main.json'
    found = list(read_ego4d(path, find_splits(path, None).of, log, 'clip'))
    assert not list(log)
    return found


def epic_actions(exports):
    log = ProblemLog()
    found = [action for path, split in epic_annotations(exports / 'epic')
             for action in read_epic(path, split, log)]
    assert not list(log)
    return found


def prepared(actions, path_of, folder):
    settings = PairSettings(neighbours=0, lowest=-1, highest=1, size=SIZE)
    records = []
    for video in dict.fromkeys(action.video_id for action in actions):
        found, log = prepare_part(
            VideoFrames(path_of(video), video), [a for a in actions if a.video_id == video],
            settings, Sharpness(), GistCosine(), folder)
        assert not list(log)
        records += found
    return records


def ego4d_clip(exports):
    return lambda video: exports / f'ego4d/v2/clips/{video}.mp4'


def epic_clip(exports):
    return lambda video: exports / f'epic/EPIC-KITCHENS/{video[:3]}/videos/{video}.MP4'


def truth_of(exports, form):
    return pd.read_json(exports / form / 'truth.jsonl', lines=True)


def test_both_formats_give_the_same_pairs_by_the_command(exports, tmp_path):
    found = {}
    for form in ('ego4d', 'epic'):
        done = subprocess.run(
            [sys.executable, '-m', 'lego_ros.cli', 'data', 'prepare', str(exports / form),
             '--format', form, '--out', str(tmp_path / form), '--workers', '1', '--size',
             str(SIZE)], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        found[form] = [
            (record.split, record.similarity, *(
                (picture.frame, picture.time, picture.sha256,
                 tuple(candidate.frame for candidate in picture.candidates))
                for picture in (record.input, record.target)))
            for record in read_manifest(tmp_path / form / 'pairs.jsonl')]
        assert (tmp_path / form / 'pairs.problems.jsonl').read_bytes() == b''
    assert sorted(found['ego4d']) == sorted(found['epic'])
    assert len(found['epic']) == len(truth_of(exports, 'epic')) > 0


def test_both_formats_give_the_same_pairs(exports, tmp_path):
    ego4d = prepared(ego4d_actions(exports), ego4d_clip(exports), tmp_path)
    epic = prepared(epic_actions(exports), epic_clip(exports), tmp_path)
    order = {'ego4d': truth_of(exports, 'ego4d'), 'epic': truth_of(exports, 'epic')}
    places = {name: {row.action_id: (row.seed, row.number) for row in table.itertuples()}
              for name, table in order.items()}
    theirs = {places['epic'][record.action_id]: record for record in epic}
    assert len(ego4d) == len(theirs) == sum(
        len(annotated(sample_episode(seed))) for seed in SEEDS) > 0
    for record in ego4d:
        other = theirs[places['ego4d'][record.action_id]]
        for one, two in ((record.input, other.input), (record.target, other.target)):
            assert (one.frame, one.time, one.sha256) == (two.frame, two.time, two.sha256)
            assert 0 <= two.asked_time - one.asked_time + 1e-9 < 0.01 + 2e-9
        assert record.similarity == other.similarity
        assert record.split == other.split


def test_pairs_at_once_are_those_of_the_videos_but_for_coding(exports, tmp_path):
    decoded = prepared(ego4d_actions(exports), ego4d_clip(exports), tmp_path)
    drawn = {record.action_id: record
             for record in read_manifest(exports / 'pairs/pairs.jsonl')}
    assert len(drawn) == len(decoded)
    for record in decoded:
        other = drawn[record.action_id]
        left_out = {'dataset', 'pair_id', 'video', 'similarity', 'kept', 'reason', 'input',
                    'target'}
        assert record.model_dump(exclude=left_out) == {
            **other.model_dump(exclude=left_out), 'boxes': record.model_dump()['boxes']}
        assert record.boxes == other.boxes
        assert abs(record.similarity - other.similarity) < 0.05
        for one, two in ((record.input, other.input), (record.target, other.target)):
            assert one.asked_frame == one.frame == two.frame
            assert (one.time, one.asked_time, one.asked_source) == (
                two.time, two.asked_time, two.asked_source)
            # At 64 px the halved colours weigh much; at 256 px it is some 35 dB.
            assert psnr(tmp_path / one.path, exports / 'pairs' / two.path) > 25


def psnr(one, two):
    import cv2

    error = np.mean((cv2.imread(str(one)).astype(float) - cv2.imread(str(two))) ** 2)
    return 10 * np.log10(255 ** 2 / max(error, 1e-9))


def test_the_video_shows_frame_n_at_n_thirtieths(exports):
    action = ego4d_actions(exports)[0]
    seed = truth_of(exports, 'ego4d').query('action_id == @action.action_id').seed.item()
    episode = sample_episode(int(seed))
    reader = VideoFrames(ego4d_clip(exports)(action.video_id))
    log = ProblemLog()
    windows = [Window('a', action.before), Window('b', action.after)]
    with Renderer(episode, SIZE, SIZE) as renderer:
        for window, (shot,) in reader.windows(windows, log):
            assert shot.time == shot.number / 30
            # In grey: of the colours, H.264 keeps a quarter.
            drawn = [renderer.rgb(window.moment.number + step) for step in (0, -1, 1)]
            exact, *others = (np.mean((shot.rgb.mean(2) - rgb.mean(2)) ** 2) for rgb in drawn)
            assert exact < min(*others, 50)
    assert reader.fps == 30
    assert not list(log)


def test_both_formats_hold_the_same_videos(exports):
    for seed in SEEDS:
        video = epic_clip(exports)(epic_video(seed)).read_bytes()
        (clip,) = (interval['clip_uid'] for element in fho_main(exports)
                   for interval in element['annotated_intervals']
                   if element['video_uid'] == video_uid(seed))
        assert ego4d_clip(exports)(clip).read_bytes() == video


def fho_main(exports):
    return json.loads((exports / 'ego4d/v2/annotations/fho_main.json').read_text())['videos']


def test_fho_main_has_all_critical_frames(exports):
    for element in fho_main(exports):
        frames = element['video_metadata']['num_frames']
        for action in element['annotated_intervals'][0]['narrated_actions']:
            critical = action['critical_frames']
            numbers = [critical[name] for name in (
                'pre_45', 'pre_30', 'pre_15', 'pre_frame', 'contact_frame', 'pnr_frame',
                'post_frame')]
            assert numbers == sorted(numbers)
            assert numbers[0] >= 0
            assert numbers[-1] < frames
            assert [critical['pre_frame'] - critical[f'pre_{n}'] for n in (15, 30, 45)] == [
                15, 30, 45]
            assert [frame['frame_type'] for frame in action['frames']] == list(critical)
            for frame in action['frames']:
                for box in frame['boxes']:
                    area = box['bbox']
                    assert 0 <= area['x'] < area['x'] + area['width'] <= SIZE
                    assert 0 <= area['y'] < area['y'] + area['height'] <= SIZE


def test_the_rows_keep_the_frame_rule_and_the_classes(exports):
    folder = exports / 'epic' / ANNOTATIONS
    verbs = read_classes(folder / 'EPIC_100_verb_classes.csv')
    nouns = read_classes(folder / 'EPIC_100_noun_classes.csv')
    assert len(verbs) == len(VERB_CLASSES) == 14
    assert len(nouns) == len(NOUN_CLASSES)
    info = read_video_info(folder / 'EPIC_100_video_info.csv')
    log = ProblemLog()
    seen = 0
    for path, _ in epic_annotations(exports / 'epic'):
        for row in read_rows(path, log):
            seen += 1
            assert row.label.verb in verbs[row.label.verb_class].instances
            assert row.label.noun in nouns[row.label.noun_class].instances
            assert row.stop <= info[row.video_id].duration
            assert info[row.video_id].fps == 30
    assert seen == len(epic_actions(exports))
    assert not list(log)


def test_masks_and_detections_are_those_of_ego4d(exports):
    log = ProblemLog()
    truth = truth_of(exports, 'epic')
    mapping = read_frame_mapping(exports / 'epic/VISOR/frame_mapping.json')
    checked = contacts = 0
    for row in truth.itertuples():
        folder = exports / 'epic/VISOR/GroundTruth-SparseAnnotations/annotations' / row.split
        masks = {mapping[frame.video_id, frame.name]: frame
                 for frame in read_visor(folder / f'{row.video_id}.json', log)}
        pickle = exports / f'epic/EPIC-KITCHENS/{row.video_id[:3]}/hand-objects/{row.video_id}.pkl'
        detected = {frame.frame: frame for frame in read_hand_objects(pickle, log)}
        for state in (row.before, row.after):
            # EPIC-KITCHENS counts from 1 at 60 per second.
            number = 2 * state['frame'] + 1
            found = {entity.name: entity for entity in masks[number].entities.values()}
            hands = {hand.side.name.lower(): hand for hand in detected[number].hands}
            for side in ('left', 'right'):
                box = state['boxes'].get(f'{side}_hand')
                assert (box is None) == (f'{side} hand' not in found) == (side not in hands)
                if box is None:
                    continue
                checked += 1
                assert np.allclose(found[f'{side} hand'].corners, box, atol=1 / SIZE)
                assert np.allclose(hands[side].corners, box, atol=1e-6)
                touched = state['touching'][side]
                assert (hands[side].state is HandState.NONE) == (not touched)
                contact, thing = masks[number].touched_by(found[f'{side} hand'])
                assert (contact is Contact.NONE) == (not touched)
                if touched and touched[0] in state['boxes']:
                    contacts += 1
                    assert thing.entity_id.endswith(touched[0])
                    near = detected[number].object_of(hands[side])
                    assert np.allclose(near.corners, state['boxes'][touched[0]], atol=1e-6)
    assert checked > 2
    assert contacts > 0
    assert not list(log)


def test_frames_in_folders_are_read_at_their_times(tmp_path):
    # One colour a frame: 60 files a second, two for each picture.
    pictures = [np.full((SIZE, SIZE, 3), 3 * n, np.uint8) for n in range(40)]
    assert write_folder(tmp_path / 'P00_01', iter(pictures), 2) == 40
    log = ProblemLog()
    from lego_ros.training.data.actions import Moment
    wanted = [Window(str(n), Moment(n / 30 + late, None, 1, 60, 'test'))
              for n in range(40) for late in (0.0, 0.0099)]
    shots = list(FolderFrames(tmp_path / 'P00_01', 60).windows(wanted, log))
    assert len(shots) == 80
    assert not list(log)
    for window, (shot,) in shots:
        assert abs(int(shot.rgb.mean()) - 3 * int(window.key)) <= 1


def test_truth_joins_with_the_manifest(exports):
    pairs = pd.read_json(exports / 'pairs/pairs.jsonl', lines=True)
    merged = pairs.merge(truth_of(exports, 'pairs'), on='action_id', suffixes=('', '_truth'))
    assert len(merged) == len(pairs) > 0
    for row in merged.itertuples():
        assert row.verb == row.verb_truth
        assert row.noun == row.noun_truth
        assert row.split == row.split_truth
        assert row.narration == row.narration_truth
        assert row.video_id == row.video_id_truth
        assert row.frames['pre_15'] == row.input['frame'] == row.before['frame']
        assert row.frames['pnr'] == row.target['frame'] == row.after['frame']
        episode = sample_episode(row.seed)
        action = episode.actions[row.number]
        assert action.description == row.description_truth
        # The description names the hand that acts; the boxes show it.
        assert row.hand_truth == action.choice.hand
        boxes = {box['role']: box['box'] for box in row.boxes if box['picture'] == 'target'}
        for side in ('left', 'right'):
            assert boxes.get(f'{side}_hand') == row.after['boxes'].get(f'{side}_hand')


@pytest.mark.parametrize(('form', 'actions'), [('ego4d', ego4d_actions), ('epic', epic_actions)])
def test_truth_has_the_readers_ids(exports, form, actions):
    found = {action.action_id: action for action in actions(exports)}
    table = truth_of(exports, form)
    assert set(table.action_id) == set(found)
    for row in table.itertuples():
        assert found[row.action_id].video_id == row.video_id
        assert found[row.action_id].split == row.split
