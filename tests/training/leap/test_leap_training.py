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

"""Training, assessment and the experiment, at a size of seconds, with real parts throughout."""

import json

from lego_ros.cli import main
from lego_ros.errors import LegoError
from lego_ros.leap.network import LeapNetwork
from lego_ros.training.leap.comparing import compare, Group
from lego_ros.training.leap.evaluate import evaluate_leap, predictions_of
from lego_ros.training.leap.experiment import Experiment, run_experiment, runs
from lego_ros.training.leap.figures import columns_of, interval, truth_of
from lego_ros.training.leap.predicting import Predictions
from lego_ros.training.leap.recipe import is_leap, read_leap_recipe
from lego_ros.training.leap.train import train_leap
from lego_ros.training.run.identity import module_sha256
from lego_ros.training.run.loop import Interrupted
import numpy as np
import pytest
import yaml


def metrics(folder):
    rows = map(json.loads, (folder / 'run' / 'metrics.jsonl').read_text().splitlines())
    return [row for row in rows if 'loss' in row]


def stop_after(count):
    """Say stop when asked for the so-manieth time."""
    asked = iter(range(1, 1000))
    return lambda: next(asked) >= count


def test_a_broken_off_training_ends_as_one_that_was_not(leap_data, make_settings, tmp_path):
    settings = make_settings(task='anticipation', clips=3)
    whole = train_leap(settings, leap_data, tmp_path / 'whole')
    with pytest.raises(Interrupted):
        train_leap(settings, leap_data, tmp_path / 'broken', stop=stop_after(2))
    resumed = train_leap(settings, leap_data, tmp_path / 'broken')
    assert module_sha256(resumed) == module_sha256(whole)
    assert module_sha256(LeapNetwork.load(tmp_path / 'broken' / 'result')) == module_sha256(whole)
    # Done is done: no step is made again, and other settings are refused.
    again = train_leap(settings, leap_data, tmp_path / 'whole', stop=lambda: pytest.fail('asked'))
    assert module_sha256(again) == module_sha256(whole)
    with pytest.raises(LegoError, match='other values of settings'):
        train_leap(make_settings(task='anticipation', clips=3, lr=1e-3), leap_data,
                   tmp_path / 'whole')


@pytest.mark.parametrize('losses', ['ce', 'ce+t', 'ce+pc', 'all'])
def test_the_losses_are_summed_as_they_are_chosen(leap_data, make_settings, tmp_path, losses):
    train_leap(make_settings(losses=losses, steps=1), leap_data, tmp_path / 'a')
    row = metrics(tmp_path / 'a')[0]
    parts = {'ce': ['ce'], 'ce+t': ['ce', 't'], 'ce+pc': ['ce', 'pc'], 'all': ['ce', 't', 'pc']}
    assert row['loss'] == pytest.approx(sum(row[f'loss_{name}'] for name in parts[losses]),
                                        rel=1e-5)
    assert all(row[f'loss_{name}'] > 0 for name in ('ce', 't', 'pc'))


def test_it_learns(leap_data, make_settings, tmp_path):
    """Colours tell the action, and that of one tells the next: a few steps learn both."""
    for task, clips in (('recognition', 0), ('anticipation', 2)):
        folder = tmp_path / task
        train_leap(make_settings(
            task=task, clips=clips, steps=60, batch_size=6, lr=5e-3, schedule='constant',
            log_every=10), leap_data, folder)
        first, last = (metrics(folder)[place] for place in (0, -1))
        assert last['loss'] < 0.7 * first['loss']
    truth = truth_of(leap_data.clips, 'test')
    found, network = predictions_of(tmp_path / 'recognition', leap_data, 'test', tmp_path / 'out')
    columns = columns_of(found, truth, network.classes)
    assert interval('action/all/top1', columns, truth.videos).value > 0.8
    assert interval('program/s_verb', columns, truth.videos).value > 0.6


def made_up(truth, right):
    """Make predictions of the test split whose verbs are right where it is said."""
    verbs = np.zeros((len(right), 2))
    verbs[np.arange(len(right)), np.where(right, truth.verbs, 1 - truth.verbs)] = 9.0
    nouns = np.zeros((len(right), 3))
    nouns[np.arange(len(right)), truth.nouns] = 5.0
    none = np.zeros((3, len(right), 4), int)
    return Predictions(tuple(map(str, range(len(right)))), verbs, nouns, np.zeros((6, 2)), none,
                       none, np.zeros(len(right), bool))


def test_figures_are_of_who_and_what_they_say(leap_data):
    truth = truth_of(leap_data.clips, 'test')
    classes = leap_data.programs.classes('train', 1)
    # Test: v5 by A, v6 by B, who is unseen; each take mug, put mug, take knife.
    assert truth.verbs.tolist() == [1, 0, 1, 1, 0, 1]
    assert truth.subsets['verb/unseen'].tolist() == [False] * 3 + [True] * 3
    # Of 12 training clips 4 are put, more than a fifth; nobody acts on a spoon: that is the tail.
    assert not truth.subsets['verb/tail'].any()
    columns = columns_of(made_up(truth, np.array([1, 1, 1, 1, 0, 0], bool)), truth, classes)
    figure = {name: interval(name, columns, truth.videos).value for name in columns}
    assert figure['verb/all/top1'] == pytest.approx(4 / 6)
    assert figure['verb/unseen/top1'] == pytest.approx(1 / 3)
    assert figure['noun/unseen/top1'] == 1.0
    assert figure['action/all/top1'] == pytest.approx(4 / 6)
    assert figure['action/all/recall5'] == 1.0
    assert np.isnan(figure['verb/tail/top1'])
    assert np.isnan(figure['program/s_verb'])
    # Both videos have their share: the interval is theirs, 1 and 1 / 3.
    both = interval('verb/all/top1', columns, truth.videos)
    assert (both.low, both.high) == pytest.approx((1 / 3, 1.0))


def test_gains_are_paired(leap_data, tmp_path):
    truth = truth_of(leap_data.clips, 'test')
    classes = leap_data.programs.classes('train', 1)

    def judged(*right):
        return columns_of(made_up(truth, np.array(right, bool)), truth, classes)

    columns = {
        Group('recognition', 'ce', 0): {0: judged(0, 1, 1, 0, 1, 1)},
        Group('recognition', 'all', 0): {0: judged(1, 1, 1, 0, 1, 1)},
        Group('anticipation', 'ce', 3): {0: judged(0, 0, 1, 0, 0, 1), 1: judged(*[0] * 6)},
        Group('anticipation', 'all', 3): {0: judged(1, 1, 1, 1, 1, 1), 1: judged(*[1] * 6)}}
    report, table = compare({'test': truth}, {'test': columns}, {}, tmp_path)
    found = report['splits']['test']
    assert found['gains']['recognition-all-0clips']['verb/all/top1']['value'] == pytest.approx(
        1 / 6)
    # The mean of two seeds gains 1 - (1/3 + 0) / 2.
    gain = found['gains']['anticipation-all-3clips']['verb/all/top1']
    assert gain['value'] == pytest.approx(5 / 6)
    assert (gain['low'], gain['high']) == pytest.approx((5 / 6, 5 / 6))
    assert found['gain_difference']['value'] == pytest.approx(5 / 6 - 1 / 6)
    assert found['groups']['anticipation-ce-3clips']['seeds']['0']['verb/all/top1'] == (
        pytest.approx(1 / 3))
    assert '| L_CE + L_T + L_PC, 3 clips | ' in table
    assert '| +83.3 [+83.3, +83.3] |' in table
    assert (tmp_path / 'experiment.png').read_bytes()[:4] == b'\x89PNG'


def test_the_experiment_is_made_resumed_and_told(leap_data, make_settings, tmp_path):
    experiment = Experiment(losses=('ce', 'all'), clips=(2, 1), aggregated_losses=('all',),
                            seeds=(0, 1), splits=('test',))
    names = [run.name for run in runs(experiment)]
    assert names[:5] == ['recognition-ce-0clips-seed0', 'recognition-all-0clips-seed0',
                         'anticipation-ce-2clips-seed0', 'anticipation-all-2clips-seed0',
                         'anticipation-all-1clips-seed0']
    assert len(names) == len(set(names)) == 10
    base, out = make_settings(steps=2), tmp_path / 'out'
    with pytest.raises(Interrupted):
        run_experiment(experiment, base, leap_data, out, stop=stop_after(9))
    made = {path: path.stat().st_mtime_ns for path in out.rglob('training.json')}
    assert 1 <= len(made) < 10
    table = run_experiment(experiment, base, leap_data, out)
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert sorted(path.name for path in (out / 'runs').iterdir()) == sorted(names)
    assert table == (out / 'evaluation.md').read_text()
    for title in ('## recognition, test', '## anticipation, test', '| L_CE + L_T + L_PC, 1 clip |',
                  'gain over L_CE', 'anticipation less recognition', '2312.00055'):
        assert title in table, title
    report = json.loads((out / 'evaluation.json').read_text())
    assert set(report['splits']['test']['groups']) == {name[:-6] for name in names}
    # All is there: the table comes without a step.
    assert run_experiment(experiment, base, leap_data, out,
                          stop=lambda: pytest.fail('asked')) == table


def test_the_commands(clip_folder, make_settings, tmp_path, capsys):
    recipe = tmp_path / 'mine.yaml'
    settings = make_settings(steps=1).model_dump(mode='json')
    recipe.write_text(yaml.safe_dump({'leap': settings}))
    run, out = tmp_path / 'run', tmp_path / 'out'
    words = ['train', str(recipe), '--out', str(run), '--data', str(clip_folder)]
    assert main(words) == 0
    assert str(run / 'leap' / 'result') in capsys.readouterr().out
    words = ['eval', 'leap', '--run', str(run), '--data', str(clip_folder), '--out', str(out)]
    assert main(words) == 0
    assert capsys.readouterr().out.strip() == (out / 'evaluation.md').read_text().strip()
    assert main([*words, '--submission', '2', '5', '3']) == 2
    assert 'expected (6, 97)' in capsys.readouterr().err
    assert main(['eval', 'leap', '--recipe', str(recipe), '--out', str(out)]) == 2
    assert 'no section experiment' in capsys.readouterr().err
    assert main(['train', str(recipe), '--out', str(run)]) == 2
    assert 'give --data' in capsys.readouterr().err
    assert main([*words, '--split', 'none']) == 2
    assert "no clips of a split 'none'" in capsys.readouterr().err


def test_a_network_that_is_not_there(leap_data, tmp_path):
    with pytest.raises(LegoError, match='no finished training'):
        evaluate_leap(tmp_path, leap_data, tmp_path / 'out', ('test',))


@pytest.mark.parametrize('name', ['leap_kitchen', 'leap_epic', 'leap_help'])
def test_the_recipes_that_ship(name):
    assert is_leap(name)
    recipe = read_leap_recipe(name)
    assert (recipe.experiment is not None) == (name == 'leap_help')
    if name == 'leap_epic':
        assert recipe.leap.network.aggregated_clips == 3
        assert (recipe.leap.anticipation.lead, recipe.leap.anticipation.span_frames) == (1.0, 256)


@pytest.mark.parametrize('name', ['kitchen', 'paper', 'none', 'none.yaml'])
def test_other_recipes_are_left_to_others(name):
    assert not is_leap(name)


def test_a_wrong_value_of_a_recipe_is_named(tmp_path):
    path = tmp_path / 'my.yaml'
    for content, match in (('leap: {losses: some}', r'leap\.losses'),
                           ('leap: {network: {task: dance}}', r'leap\.network\.task'),
                           ('leap: {}\nkitchen: {episodes: 0}', r'kitchen\.episodes'),
                           ('leap: {}\nother: 1', 'other: Extra')):
        path.write_text(content)
        assert is_leap(str(path))
        with pytest.raises(LegoError, match=rf'my\.yaml.*{match}'):
            read_leap_recipe(str(path))
