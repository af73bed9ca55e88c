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

"""The training loop: exact resume, accumulation, averages, and what can go wrong."""

from itertools import pairwise
import json
import os
from pathlib import Path
import subprocess
import sys

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.run.checkpoints import checkpoints
from lego_ros.training.run.journal import draw_curves, read_metrics
from lego_ros.training.run.loop import Interrupted, train, Validation
from lego_ros.training.run.settings import LoopSettings
from PIL import Image
import pytest
import torch
from torch import nn

SAMPLES = 20


class Points:
    """Points of a line with noise, some of which can be spoilt."""

    def __init__(self, bad=()):
        self.bad = set(bad)

    def __len__(self):
        return SAMPLES

    def __getitem__(self, draw):
        noise = torch.Generator().manual_seed(draw.seed)
        x = torch.full((4,), draw.index / SAMPLES) + 0.1 * torch.randn(4, generator=noise)
        if draw.index in self.bad:
            x[0] = torch.nan
        return {'x': x, 'y': torch.tensor(draw.index / SAMPLES)}

    def name(self, index):
        return f'point {index}'


class Fit(nn.Module):
    """A small network with dropout, so that the random state counts."""

    def __init__(self, width=8, dropout=0.1):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(
            nn.Linear(4, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 1))

    def forward(self, batch):
        error = (self.net(batch['x'])[:, 0] - batch['y']) ** 2
        return error.mean(), {'largest': error.max()}


def settings(**changes):
    return LoopSettings(**{
        'steps': 12, 'batch_size': 6, 'lr': 0.02, 'checkpoint_every': 4, 'validate_every': 5,
        'log_every': 2, 'ema': 0.9, **changes})


def weights(model):
    return torch.cat([weight.detach().ravel() for weight in model.parameters()])


def after(n):
    """Make a stop that says yes when it is asked for the n-th time."""
    asked = iter(range(1, 1000))
    return lambda: next(asked) >= n


@pytest.fixture
def whole(tmp_path):
    model = Fit()
    train(model, Points(), settings(), tmp_path / 'whole')
    return weights(model)


@pytest.mark.parametrize('stops', [(1,), (4,), (7, 3)])
def test_a_run_that_was_broken_off_ends_like_one_that_was_not(tmp_path, whole, stops):
    done = 0
    for stop in stops:
        with pytest.raises(Interrupted) as told:
            train(Fit(), Points(), settings(), tmp_path / 'run', stop=after(stop))
        done += stop
        assert told.value.step == done
    model = Fit()
    assert train(model, Points(), settings(), tmp_path / 'run') == 12
    assert torch.equal(weights(model), whole)
    assert not torch.equal(weights(model), weights(Fit()))


def test_a_killed_run_goes_on_from_its_checkpoint(tmp_path, whole):
    class Killed(Exception):
        pass

    class Killing(Points):
        def __getitem__(self, draw):
            self.left -= 1
            if self.left < 0:
                raise Killed
            return super().__getitem__(draw)

    data = Killing()
    data.left = 6 * 7
    with pytest.raises(Killed):
        train(Fit(), data, settings(), tmp_path)
    assert [step for step, _ in checkpoints(tmp_path)] == [4]
    model = Fit()
    train(model, Points(), settings(), tmp_path)
    assert torch.equal(weights(model), whole)
    steps = [row['step'] for row in read_metrics(tmp_path) if 'loss' in row]
    assert steps == [2, 4, 6, 8, 10, 12]


def test_a_finished_run_gives_its_result_again(tmp_path, whole):
    train(Fit(), Points(), settings(), tmp_path)
    again = Fit()
    assert train(again, Points(), settings(), tmp_path) == 12
    assert torch.equal(weights(again), whole)


def test_loaders_change_nothing(tmp_path, whole):
    model = Fit()
    train(model, Points(), settings(loaders=1), tmp_path)
    assert torch.equal(weights(model), whole)


def test_accumulation_equals_one_large_batch(tmp_path):
    results = []
    for micro in (6, 2):
        model = Fit(dropout=0.0)
        train(model, Points(), settings(micro_batch=micro), tmp_path / str(micro))
        results.append(weights(model))
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


def test_the_averaged_weights_are_the_result_and_are_validated(tmp_path):
    seen = []

    def validate(objective, step):
        seen.append((step, weights(objective)))
        return Validation({'loss': 1.0})

    averaged, plain = Fit(), Fit()
    train(averaged, Points(), settings(), tmp_path / 'a', validate=validate)
    train(plain, Points(), settings(ema=None), tmp_path / 'b')
    assert [step for step, _ in seen] == [5, 10, 12]
    assert torch.equal(seen[-1][1], weights(averaged))
    assert not torch.allclose(weights(averaged), weights(plain))


def test_it_learns(tmp_path):
    model = Fit(dropout=0.0)
    train(model, Points(), settings(steps=200, ema=None), tmp_path)
    rows = read_metrics(tmp_path)
    assert rows[-1]['loss'] < 0.3 * rows[0]['loss']
    draw_curves({'fit': tmp_path}, tmp_path / 'curves.png')
    assert Image.open(tmp_path / 'curves.png').size[0] > 300


def test_a_loss_that_is_not_finite_names_the_batch_and_keeps_the_checkpoint(tmp_path):
    with pytest.raises(Interrupted):
        train(Fit(), Points(), settings(), tmp_path, stop=after(2))
    with pytest.raises(LegoError) as error:
        train(Fit(), Points(bad=range(SAMPLES)), settings(), tmp_path)
    assert error.value.code is ErrorCode.INFERENCE_FAILED
    assert 'step 3' in error.value.message
    assert 'point ' in error.value.message
    assert 'step-000000002' in error.value.message
    assert [step for step, _ in checkpoints(tmp_path)] == [2]


def test_another_architecture_is_refused(tmp_path):
    train(Fit(), Points(), settings(steps=2), tmp_path)
    with pytest.raises(LegoError, match='weights') as error:
        train(Fit(width=9), Points(), settings(steps=2), tmp_path)
    assert error.value.code is ErrorCode.INVALID_SETTING


def test_other_settings_and_other_data_are_refused(tmp_path):
    train(Fit(), Points(), settings(steps=2), tmp_path, identity={'data': 'a'})
    with pytest.raises(LegoError, match='settings'):
        train(Fit(), Points(), settings(steps=2, lr=0.5), tmp_path, identity={'data': 'a'})
    with pytest.raises(LegoError, match='data'):
        train(Fit(), Points(), settings(steps=2), tmp_path, identity={'data': 'b'})


def test_a_run_of_constant_rate_can_be_lengthened(tmp_path):
    model, other = Fit(), Fit()
    train(model, Points(), settings(steps=4), tmp_path / 'a')
    train(model, Points(), settings(steps=9), tmp_path / 'a')
    train(other, Points(), settings(steps=9), tmp_path / 'b')
    assert torch.equal(weights(model), weights(other))
    with pytest.raises(LegoError, match='after 9 steps and only 6'):
        train(Fit(), Points(), settings(steps=6), tmp_path / 'a')


def test_a_run_whose_rate_falls_with_its_length_cannot(tmp_path):
    train(Fit(), Points(), settings(steps=2, schedule='cosine'), tmp_path)
    with pytest.raises(LegoError, match='settings'):
        train(Fit(), Points(), settings(steps=4, schedule='cosine'), tmp_path)


@pytest.mark.parametrize('name', ['model.safetensors', 'optimizer.bin', 'ema_0.safetensors',
                                  'state.json'])
def test_a_damaged_checkpoint_is_named(tmp_path, name):
    train(Fit(), Points(), settings(), tmp_path)
    (checkpoints(tmp_path)[-1][1] / name).write_bytes(b'')
    with pytest.raises(LegoError, match='step-000000012') as error:
        train(Fit(), Points(), settings(), tmp_path)
    assert error.value.code is ErrorCode.SOURCE_UNREADABLE


def test_stages_of_one_process_have_their_own_precision(tmp_path):
    results = []
    for number, precision in enumerate(('fp32', 'bf16', 'fp32')):
        model = Fit()
        train(model, Points(), settings(precision=precision, ema=None), tmp_path / str(number))
        results.append(weights(model))
    assert torch.equal(results[0], results[2])
    assert not torch.equal(results[0], results[1])


def test_only_the_last_two_checkpoints_are_kept(tmp_path):
    train(Fit(), Points(), settings(), tmp_path)
    assert [step for step, _ in checkpoints(tmp_path)] == [8, 12]
    assert not list(tmp_path.glob('*.part'))


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    # A limit on the size of files stands in for a full disk: the same call fails, for real.
    code = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_loop import Fit, Points, settings
from lego_ros.training.run.loop import train
class Filling(Points):
    n = 0
    def __getitem__(self, draw):
        Filling.n += 1
        if Filling.n == 6 * 6:
            resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
        return super().__getitem__(draw)
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from lego_ros.errors import LegoError
try:
    train(Fit(width=300), Filling(), settings(log_every=100), Path({str(tmp_path)!r}))
except LegoError as error:
    sys.exit(str(error))
"""
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, timeout=120)
    assert result.returncode == 1
    assert 'RECORDING_FAILED: the checkpoint of step 8 cannot be written' in result.stderr
    assert [step for step, _ in checkpoints(tmp_path)] == [4]
    assert not list(tmp_path.glob('*.part'))


def test_two_processes_train_one_model(tmp_path):
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
import torch
from test_loop import Fit, Points, settings, weights
from lego_ros.training.run.loop import train
model = Fit(dropout=0.0)
train(model, Points(), settings(), Path({str(tmp_path / "two")!r}))
torch.save(weights(model), {str(tmp_path)!r} + '/' + os.environ['RANK'])
"""
    script = tmp_path / 'script.py'
    script.write_text(code)
    subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2',
         str(script)], check=True, timeout=200,
        env={**os.environ, 'OMP_NUM_THREADS': '1'})
    one = Fit(dropout=0.0)
    train(one, Points(), settings(), tmp_path / 'one')
    both = [torch.load(tmp_path / rank, weights_only=True) for rank in ('0', '1')]
    assert torch.equal(*both)
    torch.testing.assert_close(both[0], weights(one), rtol=1e-4, atol=1e-5)
    state = json.loads((checkpoints(tmp_path / 'two')[-1][1] / 'state.json').read_text())
    assert state['processes'] == 2


def test_no_data_and_a_batch_that_cannot_be_shared(tmp_path):
    class Empty(Points):
        def __len__(self):
            return 0

    with pytest.raises(LegoError, match='no samples'):
        train(Fit(), Empty(), settings(), tmp_path)
    with pytest.raises(LegoError, match='portions of 4'):
        train(Fit(), Points(), settings(micro_batch=4), tmp_path)


def test_the_rate_rises_and_falls():
    loop = settings(steps=100, lr=1.0, schedule='cosine', warmup=0.1)
    rates = [loop.lr_at(step, 100) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert 0 < rates[99] < 0.001
    assert all(a > b for a, b in pairwise(rates[10:]))


def test_steps_follow_from_epochs():
    assert settings(steps=None, epochs=3).total_steps(20) == 10
    with pytest.raises(ValueError, match='either steps or epochs'):
        settings(epochs=1)
