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

"""Camera motion: words for steps, EPIC-Fields' poses, and visual odometry."""

import json
import math
import re

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.layout import Footage
from lego_ros.training.descriptors.motion import moments, motion_spans, Step
from lego_ros.training.descriptors.odometry import Odometry, relative_motion, SCALE_NOTE
from lego_ros.training.descriptors.poses import NO_POSES, PosesFolder
from lego_ros.training.export.clips import write_video
import numpy as np
import pytest

RATE = 50
FOCAL = 0.8


def turned(degrees_right, degrees_up=0.0):
    """Make the rotation from a camera that was turned to the camera before."""
    a, b = math.radians(degrees_right), math.radians(degrees_up)
    yaw = np.array([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    pitch = np.array([[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]])
    return yaw @ pitch


def step(start, end, right=0.0, up=0.0, moved=(0, 0, 0)):
    return Step(start, end, turned(right, up), np.array(moved, dtype=float))


@pytest.mark.parametrize(('given', 'words'), [
    (step(0, 1), 'still'), (step(0, 1, right=4.9, up=-4.9, moved=(0.5, 0, 0.5)), 'still'),
    (step(0, 1, right=-35), 'turns left 35 degrees'), (step(0, 1, up=10), 'looks up 10 degrees'),
    (step(0, 1, right=12, up=-8, moved=(0, 0, 2)),
     'turns right 12 degrees, looks down 8 degrees, moves forward'),
    (step(0, 1, moved=(-3, 1, 1)), 'moves left'), (step(0, 1, moved=(0, 2, 1)), 'moves down'),
    (step(0, 1, moved=(0, 0, -1.5)), 'moves back')])
def test_words(given, words):
    assert [span.text for span in motion_spans([given])] == [words]


def test_steps_of_one_kind_are_added_up():
    spans = motion_spans([step(0, 1, right=-20), step(1, 2, right=-15), step(2, 3),
                          step(4, 5)])
    assert [(span.start, span.end, span.text) for span in spans] == [
        (0, 2, 'turns left 35 degrees'), (2, 3, 'still'), (4, 5, 'still')]


def test_moments_are_bounded(clip):
    assert moments(clip(10, 12.5)) == pytest.approx([0, 2.5 / 3, 5 / 3, 2.5])
    assert len(moments(clip(0, 3600))) == 33


def pose(right, centre):
    """Write a pose as EPIC-Fields does: from the world to the camera."""
    rotation = turned(right).T
    half = math.radians(-right) / 2
    quaternion = [math.cos(half), 0.0, math.sin(half), 0.0]
    return [*quaternion, *(-rotation @ np.array(centre)).tolist()]


def write_poses(folder, poses, **changes):
    images = {f'frame_{round(seconds * RATE) + 1:010d}.jpg': value
              for seconds, value in poses.items()}
    (folder / 'P01_101.json').write_text(json.dumps({'camera': {}, 'images': images, **changes}))


def test_poses_become_words(tmp_path, clip, log):
    # It stands, turns right by 40 degrees within a second, and walks the way it looks.
    way = np.array([math.sin(math.radians(40)), 0, math.cos(math.radians(40))])
    poses = {10 + 0.1 * k: pose(0, (0, 0, 0)) for k in range(11)}
    poses |= {11 + 0.1 * k: pose(4 * k, (0, 0, 0)) for k in range(11)}
    poses |= {12 + 0.1 * k: pose(40, way * 0.1 * k) for k in range(11)}
    write_poses(tmp_path, poses)
    part, = PosesFolder(tmp_path, log).parts('P01_101', [clip(10, 13)])
    assert [(span.start, span.end, span.text) for span in part.spans] == [
        (0, 1, 'still'), (1, 2, 'turns right 40 degrees'), (2, 3, 'moves forward')]
    assert part.note == ''
    assert not len(log)


def test_frames_that_are_not_registered_are_told(tmp_path, clip, log):
    write_poses(tmp_path, {10.0: pose(0, (0, 0, 0)), 11.1: pose(20, (0, 0, 0)),
                           10.5: [1, 2], 10.6: 'no', 10.7: [0.0] * 7})
    folder = PosesFolder(tmp_path, log)
    part, = folder.parts('P01_101', [clip(10, 13)])
    assert [span.text for span in part.spans] == ['turns right 20 degrees']
    assert part.note == 'the camera is registered at 2 of 4 moments'
    assert log.counts == {'malformed': 3}
    assert folder.parts('P02_102', [clip(video_id='P02_102')])[0].note == NO_POSES


@pytest.mark.parametrize('content', ['', '[]', '{}', '{"images": {}}', '{"images": []}', '{"im'])
def test_what_is_no_file_of_poses(tmp_path, clip, log, content):
    (tmp_path / 'P01_101.json').write_text(content)
    with pytest.raises(LegoError, match=r'P01_101\.json') as caught:
        PosesFolder(tmp_path, log).parts('P01_101', [clip()])
    assert caught.value.code == ErrorCode.SOURCE_UNREADABLE
    with pytest.raises(LegoError, match='no such folder'):
        PosesFolder(tmp_path / 'none', log)


def project(points, rotation, centre):
    """Show points, in the earlier camera's axes, to a camera elsewhere."""
    seen = (points - centre) @ rotation
    return seen[:, :2] / seen[:, 2:] * FOCAL


@pytest.mark.parametrize(('right', 'centre', 'words'), [
    (8, (0, 0, 0.4), 'turns right 8 degrees, moves forward'),
    (-9, (0.3, 0, 0), 'turns left 9 degrees, moves right'),
    (7, (0, 0, 0), 'turns right 7 degrees'), (0, (-0.3, 0, 0), 'moves left'),
    (0, (0, 0, 0), 'still')])
def test_motion_from_matches(right, centre, words):
    noise = np.random.default_rng(0)
    points = noise.uniform((-2, -1.5, 2), (2, 1.5, 6), (300, 3))
    before = project(points, np.eye(3), np.zeros(3))
    after = project(points, turned(right), np.array(centre))
    before, after = (places + noise.normal(0, 0.0004, places.shape) for places in (before, after))
    # A fifth of the matches are wrong.
    after[::5] = noise.uniform(-0.5, 0.5, after[::5].shape)
    turn, moved = relative_motion(before, after, FOCAL)
    span, = motion_spans([Step(0, 1, turn, moved)])
    assert re.sub(r'\d+', '', span.text) == re.sub(r'\d+', '', words)
    assert [float(angle) for angle in re.findall(r'\d+', span.text)] == pytest.approx(
        [float(angle) for angle in re.findall(r'\d+', words)], abs=1.01)
    assert relative_motion(before[:10], after[:10], FOCAL) is None


def test_odometry_on_a_video(tmp_path, clip):
    """A textured wall far away, over which the view goes to the right by 20 degrees a second."""
    import cv2
    from lego_ros.training.data.problems import ProblemLog

    log = ProblemLog()
    size = 192
    noise = np.random.default_rng(1)
    wall = cv2.resize(noise.integers(0, 256, (60, 180, 3), dtype=np.uint8), (1080, 360),
                      interpolation=cv2.INTER_CUBIC)
    picture = np.array([[FOCAL * size, 0, size / 2], [0, FOCAL * size, size / 2], [0, 0, 1]])
    whole = np.array([[FOCAL * size, 0, 540], [0, FOCAL * size, 180], [0, 0, 1]])

    def view(frame):
        way = whole @ turned(20 * frame / 30) @ np.linalg.inv(picture)
        return cv2.warpPerspective(wall, np.linalg.inv(way), (size, size))

    write_video(tmp_path / 'v.mp4', (view(frame) for frame in range(45)), size)
    source = Odometry(lambda video: Footage('v.mp4', tmp_path / 'v.mp4'), FOCAL, log)
    part, beyond = source.parts('v', [clip(0.0, 1.4), clip(1.0, 3.0, clip_id='late')])
    span, = part.spans
    assert span.text.startswith('turns right ')
    assert 'moves' not in span.text
    assert float(span.text.split()[2]) == pytest.approx(20 * 5 / 6 * 1.4, abs=3)
    assert part.note == SCALE_NOTE
    assert '2 of 8 frames could be read' in beyond.note
    assert {problem.reason.value for problem in log} == {'out_of_video'}
    missing = Odometry(lambda video: Footage('w.mp4', tmp_path / 'w.mp4'), FOCAL, log)
    nothing, = missing.parts('v', [clip()])
    assert nothing.spans == ()
    assert '0 of 16 frames' in nothing.note
