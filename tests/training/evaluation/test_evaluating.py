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

import argparse
import json

from lego_ros.cli import evaluate as command
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.evaluation.asking import ask
from lego_ros.training.evaluation.drawing import (
    condition_of,
    draw_split,
    DrawSettings,
    Painter,
    seed_of,
)
from lego_ros.training.evaluation.inputs import RunFolder
from lego_ros.training.evaluation.kitchen import SPLITS
from lego_ros.training.ldm.variants import VARIANTS
from lego_ros.training.run.loop import Interrupted
import numpy as np
from PIL import Image
import pytest

STEPS = DrawSettings(steps=2)


def never():
    return False


@pytest.fixture(scope='module')
def asked(run_folder, tmp_path_factory):
    """Give run, pairs and what the tuned VLLM says of three of them."""
    run = RunFolder(run_folder)
    pairs = PairDataset(run.data, 'validation')
    return run, pairs, ask(pairs, [0, 1, 2], run.vllms[True], run.text, run.asking(),
                           tmp_path_factory.mktemp('answers'), stop=never)


@pytest.mark.parametrize('variant', ['labels', 'joint'])
def test_a_picture_does_not_hang_on_the_others(asked, tmp_path, variant):
    run, pairs, said = asked
    network = run.networks([variant])[0]
    needed = said if network.variant.enriched else None
    together = draw_split(network, run, pairs, [0, 1, 2], needed, STEPS, tmp_path, stop=never)
    alone = Painter(network, run, STEPS).draw([condition_of(network, pairs, 1, needed)])[0]
    # Sums are rounded a little differently in a batch.
    assert np.abs(alone.astype(int) - together[1]).max() <= 2
    assert np.abs(together[0].astype(int) - together[1]).max() > 2


def test_what_is_drawn_is_kept(asked, tmp_path):
    run, pairs, said = asked
    network = run.networks(['joint'])[0]
    draw_split(network, run, pairs, [0, 1], said, STEPS, tmp_path, stop=never)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.png')}
    assert len(written) == 2
    draw_split(network, run, pairs, [0, 1, 2], said, STEPS, tmp_path, stop=never)
    found = {path: path.stat().st_mtime_ns for path in tmp_path.rglob('*.png')}
    assert len(found) == 3
    assert all(found[path] == time for path, time in written.items())
    with pytest.raises(Interrupted):
        draw_split(network, run, pairs, [0], said, DrawSettings(steps=3), tmp_path,
                   stop=lambda: True)


def test_noise_is_the_pairs_own():
    assert seed_of(0, 'a') == seed_of(0, 'a')
    assert len({seed_of(0, 'a'), seed_of(0, 'b'), seed_of(1, 'a')}) == 3


def test_other_parts_than_it_was_trained_with_are_refused(run_folder):
    run = RunFolder(run_folder)
    network = run.networks(['joint'])[0]
    network.record['projector'] = '0' * 64
    with pytest.raises(LegoError, match='another projector') as caught:
        Painter(network, run, STEPS)
    assert caught.value.code is ErrorCode.BUNDLE_MISMATCH


def _arguments(*words):
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    return parser.parse_args(['eval', 'kitchen', *map(str, words)])


def test_the_command_makes_tables_and_grids(run_folder, tmp_path, capsys):
    out = tmp_path / 'out'
    args = _arguments('--run', run_folder, '--out', out, '--split', 'validation', '--count', 3,
                      '--steps', 2, '--reader-steps', 2)
    assert args.run(args) == 0
    first = capsys.readouterr().out
    for row in ('joint', 'labels', 'tuned', 'untuned', 'input frame'):
        assert f'| {row} |' in first
    report = json.loads((out / 'evaluation.json').read_text())
    found = report['splits']['validation']
    assert found['frames']['target']['clip']['value'] == pytest.approx(1)
    assert found['frames']['target']['psnr']['value'] == 100
    assert set(found['compared']) == {'joint - labels'}
    rows = [json.loads(line) for line in (out / 'samples.jsonl').read_text().splitlines()]
    # Two VLLMs; three rows that are not drawn and two that are.
    assert len(rows) == 3 * 2 + 3 * 5
    for name in ('grid-validation.png', 'five.png'):
        with Image.open(out / name) as picture:
            assert min(picture.size) > 100
    drawn = {path: path.stat().st_mtime_ns for path in (out / 'pictures').rglob('*.png')}
    assert len(drawn) == 6
    assert args.run(args) == 0
    assert capsys.readouterr().out == first
    assert drawn == {path: path.stat().st_mtime_ns for path in (out / 'pictures').rglob('*.png')}


def test_the_command_names_what_is_missing(tmp_path):
    args = _arguments('--run', tmp_path, '--out', tmp_path / 'out')
    with pytest.raises(LegoError, match='lego-ros train kitchen'):
        args.run(args)


def test_the_commands_choices_are_the_trainings():
    assert tuple(VARIANTS) == command.VARIANTS
    assert SPLITS == command.SPLITS
