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

import json
import math

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.evaluation.bootstrap import bootstrap, difference, share_of_span
from lego_ros.training.evaluation.descriptions import Verdict
from lego_ros.training.evaluation.frames import FrameMeasures, psnr, ssim
from lego_ros.training.evaluation.inputs import RunFolder
from lego_ros.training.evaluation.report import make_report, to_markdown
from lego_ros.training.evaluation.rows import DescribedRow, FrameRow, SplitRows
import numpy as np
import pytest


def flat(value):
    return np.full((32, 32, 3), value, np.uint8)


def noise(seed):
    return np.random.default_rng(seed).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def test_psnr_and_ssim_equal_what_is_computed_by_hand():
    assert psnr(flat(100), flat(110)) == pytest.approx(20 * math.log10(255 / 10))
    assert psnr(flat(100), flat(100)) == 100
    small = (0.01 * 255) ** 2
    expected = (2 * 100 * 120 + small) / (100 ** 2 + 120 ** 2 + small)
    assert ssim(flat(100), flat(120)) == pytest.approx(expected, abs=1e-4)
    assert ssim(noise(0), noise(0)) == pytest.approx(1)


def test_features_tell_equal_from_other_pictures(clip_folder):
    measures = FrameMeasures(clip_folder)
    same, other = measures.compare([noise(0), noise(1)], [noise(0), noise(2)])
    assert same['clip'] == pytest.approx(1, abs=1e-6)
    assert same['feature_distance'] == pytest.approx(0, abs=1e-6)
    assert other['clip'] < 1
    assert other['feature_distance'] > 1e-4
    alone = measures.compare([noise(1)], [noise(2)])[0]
    assert alone == pytest.approx(other, abs=1e-4)


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(5)
    covered = 0
    for number in range(100):
        found = bootstrap((rng.random(80) < 0.3).astype(float), seed=number)
        covered += found.low <= 0.3 <= found.high
    assert 85 <= covered <= 100


def test_pairing_narrows_the_interval_of_a_difference():
    rng = np.random.default_rng(6)
    hard = rng.normal(size=200)
    columns = np.stack([hard + 0.1, hard + 0.01 * rng.normal(size=200)], 1)
    found = bootstrap(columns, difference)
    alone = bootstrap(columns[:, 0])
    assert found.value == pytest.approx(float(np.mean(columns[:, 0] - columns[:, 1])))
    assert found.high - found.low < 0.1 * (alone.high - alone.low)


def test_samples_of_one_scene_count_as_one():
    rng = np.random.default_rng(7)
    values = rng.normal(size=40)
    once = bootstrap(values)
    scenes = [f's{number // 5:02}' for number in range(200)]
    repeated = bootstrap(np.repeat(values, 5), scenes=scenes)
    assert (repeated.value, repeated.low, repeated.high) == pytest.approx(
        (once.value, once.low, once.high))
    careless = bootstrap(np.repeat(values, 5))
    assert careless.high - careless.low < 0.6 * (once.high - once.low)


def test_the_span_goes_from_floor_to_ceiling():
    assert share_of_span(np.array([[0.6, 0.2, 1.0]])) == pytest.approx([0.5])
    assert np.isnan(share_of_span(np.array([[0.6, 0.5, 0.5]])))[0]
    columns = np.array([[1.0, 0, 1], [0, 0, 1], [1, 0, 1], [1, 1, 1]])
    # 3/4, floor 1/4, ceiling 1.
    assert bootstrap(columns, share_of_span).value == pytest.approx(2 / 3)


def test_missing_figures_are_left_out():
    found = bootstrap(np.array([1.0, np.nan, 0.0, 1.0]))
    assert (found.value, found.samples) == (pytest.approx(2 / 3), 3)
    assert math.isnan(bootstrap(np.array([np.nan])).value)
    single = bootstrap(np.array([1.0, 0.0]), scenes=['s', 's'])
    assert single.value == 0.5
    assert math.isnan(single.low)


def _rows(row, seed, clip, right):
    return [FrameRow(pair_id=f'p{number}', scene=f's{number}', row=row, seed=seed,
                     measures={'clip': value, 'psnr': 10.0, 'ssim': 0.5, 'feature_distance': 1.0},
                     read=dict.fromkeys(('verb', 'noun', 'state', 'action'), read))
            for number, (value, read) in enumerate(zip(clip, right, strict=True))]


def test_a_report_holds_what_the_rows_say():
    frames = [
        *_rows('input frame', 0, [0.8, 0.8], [False, False]),
        *_rows('target', 0, [1.0, 1.0], [True, True]),
        *_rows('labels', 0, [0.5, 0.7], [False, False]),
        *_rows('joint', 0, [0.6, 0.8], [True, False]),
        *_rows('joint', 1, [0.8, 1.0], [True, True])]
    verdicts = [Verdict(verb=True, noun=True, hand=True, relation=None),
                Verdict(verb=True, noun=False, hand=True, relation=True)]
    described = [DescribedRow(pair_id=f'p{number}', scene=f's{number}', vllm='tuned',
                              description='x', verdict=each)
                 for number, each in enumerate(verdicts)]
    report = make_report({'test': SplitRows(described, frames)}, {}, {})
    found = report['splits']['test']
    assert found['descriptions']['tuned']['noun']['value'] == 0.5
    assert found['descriptions']['tuned']['relation'] == {
        'value': 1.0, 'low': 1.0, 'high': 1.0, 'samples': 1}
    joint = found['frames']['joint']
    assert joint['clip']['value'] == pytest.approx(0.8)
    assert joint['seeds']['1']['clip'] == pytest.approx(0.9)
    assert joint['span/action']['value'] == pytest.approx(0.75)
    assert found['frames']['labels']['span/action']['value'] == 0
    assert found['compared']['joint - labels']['clip']['value'] == pytest.approx(0.2)
    table = to_markdown(json.loads(json.dumps(report, allow_nan=False)))
    assert '| joint (2 seeds) | 80.00 [' in table
    assert '| 65.65 | 80.44 | 80.61 |' in table


def test_a_report_says_where_there_is_no_span():
    frames = [*_rows('input frame', 0, [0.8], [True]), *_rows('target', 0, [1.0], [True])]
    described = [DescribedRow(
        pair_id='p0', scene='s', vllm='tuned', description='x',
        verdict=Verdict(verb=True, noun=True, hand=True, relation=None))]
    report = make_report({'test': SplitRows(described, frames)}, {}, {})
    assert 'not defined' in to_markdown(report)


@pytest.fixture
def bare_run(tmp_path):
    """Give a run in which only the records of networks matter."""
    for name in ('data/pairs.jsonl', 'data/truth.jsonl', 'foundations/clip/config.json',
                 'foundations/vae/config.json'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def add(name, variant, seed=0, **loop):
        result = tmp_path / 'ldm' / name / 'result'
        result.mkdir(parents=True)
        (result / 'training.json').write_text(json.dumps({
            'variant': variant, 'resolution': 64, 'view': 'whole',
            'loop': {'steps': 4, 'seed': seed, 'checkpoint_every': 1, **loop}}))
        return tmp_path

    return add


def test_networks_are_found_by_what_they_are(bare_run):
    bare_run('b', 'joint', 1, checkpoint_every=7)
    bare_run('c', 'joint', 0)
    found = RunFolder(bare_run('z', 'labels')).networks(None)
    assert [(each.name, each.variant_name, each.seed) for each in found] == [
        ('z', 'labels', 0), ('c', 'joint', 0), ('b', 'joint', 1)]


@pytest.mark.parametrize(('other', 'named'), [
    ({'variant': 'labels', 'steps': 5}, 'loop.steps'),
    ({'variant': 'joint'}, 'same variant and seed')])
def test_only_like_budgets_are_compared(bare_run, other, named):
    bare_run('joint', 'joint')
    with pytest.raises(LegoError, match=named) as caught:
        RunFolder(bare_run('other', **other)).networks(None)
    assert caught.value.code is ErrorCode.INVALID_SETTING


def test_what_is_missing_is_named(bare_run, tmp_path):
    run = RunFolder(bare_run('joint', 'joint'))
    with pytest.raises(LegoError, match="'text' is not trained; there are: joint"):
        run.networks(['text'])
    with pytest.raises(LegoError, match='enrichment'):
        run.asking()
    (tmp_path / 'data' / 'truth.jsonl').unlink()
    with pytest.raises(LegoError, match=r'truth\.jsonl'):
        RunFolder(tmp_path)
