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

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.leap.frames import prepare, sample_indices
from lego_ros.leap.prediction import context_of
from lego_ros.leap.recogniser import Recogniser
import numpy as np
import pytest
import torch


def test_one_frame_of_each_stretch():
    assert sample_indices(0, 8, 4).tolist() == [1, 3, 5, 7]
    assert sample_indices(100, 356, 8).tolist() == [116, 148, 180, 212, 244, 276, 308, 340]
    assert sample_indices(5, 6, 3).tolist() == [5, 5, 5]
    assert sample_indices(0, 2, 4).tolist() == [0, 0, 1, 1]


def test_at_random_each_is_somewhere_in_its_stretch():
    rng = np.random.default_rng(0)
    drawn = np.stack([sample_indices(10, 50, 4, rng) for _ in range(500)])
    for number in range(4):
        assert set(drawn[:, number]) == set(range(10 + 10 * number, 20 + 10 * number))


def test_an_empty_clip_is_told():
    with pytest.raises(LegoError, match='empty') as caught:
        sample_indices(7, 7, 4)
    assert caught.value.code is ErrorCode.SOURCE_UNREADABLE


def test_the_central_square_is_resized_and_normalised():
    frames = np.zeros((2, 4, 8, 3), np.uint8)
    # The sides are cut off.
    frames[:, :, :2] = frames[:, :, 6:] = 255
    frames[1, :, 2:6, 0] = 255
    found = prepare(frames, 4)
    assert found.shape == (3, 2, 4, 4)
    torch.testing.assert_close(found[0, 1], torch.full((4, 4), (1 - 0.45) / 0.225))
    torch.testing.assert_close(found[1:], torch.full((2, 2, 4, 4), -2.0))
    torch.testing.assert_close(found[:, 0], torch.full((3, 4, 4), -2.0))
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (1, 4, 4, 3), dtype=np.uint8)
    halved = prepare(picture, 2)
    whole = prepare(picture, 4)
    # Smoothed, so that each of the pixels has a say.
    assert halved.std() < whole.std()
    torch.testing.assert_close(halved.mean((1, 2, 3)), whole.mean((1, 2, 3)), atol=0.15, rtol=0)


@pytest.mark.parametrize('wrong', [
    np.zeros((2, 4, 4), np.uint8), np.zeros((2, 4, 4, 4), np.uint8),
    np.zeros((2, 4, 4, 3), np.float32), np.zeros((2, 0, 4, 3), np.uint8)])
def test_what_is_no_frames_is_told(wrong):
    with pytest.raises(LegoError, match=r'\(T, H, W, 3\)') as caught:
        prepare(wrong, 4)
    assert caught.value.code is ErrorCode.MALFORMED_IMAGE


def test_a_clip_is_recognised(tiny):
    network = tiny()
    frames = np.random.default_rng(0).integers(0, 256, (9, 20, 24, 3), dtype=np.uint8)
    found = Recogniser(network).recognise(frames)
    with torch.no_grad():
        # Four stretches of 2.25 frames, the middle of each.
        output = network(prepare(frames[[1, 3, 5, 7]], 16)[None])
    classes = network.classes
    for scored, logits, names in (
            (found.verbs, output.verb, classes.verbs), (found.nouns, output.noun, classes.nouns),
            (found.actions, output.action,
             ['open drawer', 'take knife', 'take cucumber', 'cut cucumber'])):
        likely = logits[0].softmax(-1)
        assert [each.score for each in scored] == pytest.approx(
            sorted(likely.tolist(), reverse=True))
        assert scored[0].name == names[int(likely.argmax())]
    torch.testing.assert_close(found.prediction.sub_verb, output.sub_verb.softmax(-1))


def test_the_past_goes_into_the_action_heads_and_the_program(tiny):
    network = tiny(aggregated_clips=3, task='anticipation')
    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 256, (4, 16, 16, 3), dtype=np.uint8) for _ in range(3)]
    recogniser = Recogniser(network)
    past = [recogniser.recognise(clip).prediction for clip in clips[:2]]
    found, alone = recogniser.recognise(clips[2], past), recogniser.recognise(clips[2])
    with torch.no_grad():
        output = network(prepare(clips[2], 16)[None], context_of(past))
    assert [each.score for each in found.actions] == pytest.approx(
        sorted(output.action[0].softmax(-1).tolist(), reverse=True))
    assert found.actions != alone.actions
    for one, other in zip(found.prediction, alone.prediction, strict=True):
        assert torch.equal(one, other)


def test_no_frames_are_told(tiny):
    with pytest.raises(LegoError, match='empty'):
        Recogniser(tiny()).recognise(np.zeros((0, 4, 4, 3), np.uint8))
