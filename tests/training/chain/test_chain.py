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

"""The whole chain in miniature: from no data to a bundle that answers, stopped at every stage."""

from dataclasses import dataclass
import hashlib
from pathlib import Path
import shutil
import signal

from lego_ros.bundle.integrity import verify
from lego_ros.cli import main, train
from lego_ros.runtime.lego_model import LegoModel
from lego_ros.runtime.model import AnswerSettings
from lego_ros.training import chain
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.enrichment.shards import read_index
import numpy as np
import pytest
import yaml

RECIPE = {
    # Three scenes to train on, and one to validate on.
    'kitchen': {'episodes': 4, 'size': 64},
    'foundations': {
        'size': 'tiny', 'clip': {'epochs': 2, 'batch_size': 4},
        'vae': {'epochs': 1, 'batch_size': 8}, 'language': {'epochs': 1, 'batch_size': 8}},
    'tune': {'epochs': 2, 'batch_size': 4},
    'enrichment': {'flipped': True, 'max_new_tokens': 12, 'shard_pairs': 4},
    'ldm': {
        'size': 'tiny', 'resolution': 64, 'shown': {'grid_pairs': 1, 'steps': 2},
        'loop': {'steps': 3, 'batch_size': 4, 'lr': 1e-3, 'ema': 0.9}},
    'programs': {'epochs': 2, 'batch_size': 4, 'flip': True, 'lora': {'rank': 2, 'alpha': 4}},
    'bundle': {'name': 'miniature', 'training_data': 'four scenes', 'steps': 3},
}
STOPPED = ('generate', 'train_foundations', 'tune', 'enrich', 'finetune', 'tune_programs')
"""What is interrupted, by its name in the chain."""


@dataclass(frozen=True)
class World:
    """
    A finished run.

    :param recipe: of it.
    :param folder: of it.
    :param statuses: of the calls that were interrupted.
    :param last: exit status of the call that went through.
    """

    recipe: Path
    folder: Path
    statuses: list
    last: int


def write_recipe(folder, **changes):
    path = folder / 'recipe.yaml'
    path.write_text(yaml.safe_dump({**RECIPE, **changes}))
    return path


def call(recipe, folder, *more):
    return main(['train', str(recipe), '--out', str(folder), '--workers', '1', *more])


def interrupt_in(name, patch):
    """Send SIGINT to this process just before a stage begins, so that it stops within."""
    stage = getattr(chain, name)

    def interrupted(*args, **options):
        signal.raise_signal(signal.SIGINT)
        return stage(*args, **options)

    patch.setattr(chain, name, interrupted)


def contents(folder):
    """Hash all that a stage hands on, and its figures, which tell how fast each step was."""
    return {path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob('*'))
            if path.suffix in ('.json', '.jsonl', '.npy', '.safetensors', '.tar')}


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """Run the chain, with Ctrl-C in each of its stages."""
    place = tmp_path_factory.mktemp('chain')
    recipe, folder = write_recipe(place), place / 'run'
    statuses = []
    for name in STOPPED:
        with pytest.MonkeyPatch.context() as patch:
            interrupt_in(name, patch)
            statuses.append(call(recipe, folder))
        assert not (folder / 'bundle').exists()
    return World(recipe, folder, statuses, call(recipe, folder))


def test_it_is_stopped_in_every_stage_and_goes_on(world):
    assert world.statuses == [130] * len(STOPPED)
    assert world.last == 0


def test_the_bundle_answers_as_a_node_asks(world):
    model = LegoModel(world.folder / 'bundle', 'cpu')
    assert model.info.trained
    assert (model.info.bundle, model.info.height, model.info.steps) == ('miniature', 64, 3)
    frame = PairDataset(world.folder / 'data', 'validation').picture(0)
    settings = AnswerSettings(seed=1, steps=2)
    steps = []
    description = model.describe(frame, 'open the drawer', settings, lambda: None,
                                 lambda done, total: None)
    picture = model.depict(frame, description, settings, lambda: None,
                           lambda done, total: steps.append((done, total)))
    assert description.text
    assert picture.shape == frame.shape
    assert picture.dtype == np.uint8
    assert picture.std() > 0
    assert steps == [(1, 2), (2, 2)]
    model.close()


def test_the_bundle_tells_of_its_trainings(world):
    bundle = world.folder / 'bundle'
    card = (bundle / 'README.md').read_text(encoding='utf-8')
    assert 'Data: four scenes' in card
    assert 'were not evaluated yet' in card
    assert '## Limits' in card
    rows = {cells[1].strip(): cells[2:4] for line in card.splitlines()
            if len(cells := line.split('|')) == 5}
    for name in ('CLIP', 'VAE', 'language', 'VLLM', 'LDM'):
        steps, loss = rows[name]
        assert int(steps) > 0
        assert float(loss) > 0
    assert (bundle / 'curves.png').stat().st_size > 1000


def test_mirrored_frames_are_for_training_alone(world):
    splits = {split: read_index(world.folder / 'enrichment' / split)
              for split in ('train', 'validation')}
    data = world.folder / 'data'
    assert splits['train'].samples == 2 * len(PairDataset(data, 'train'))
    assert splits['validation'].samples == len(PairDataset(data, 'validation'))


def test_a_finished_run_is_only_put_together_again(world, capsys):
    stages = ('data', 'foundations', 'vllm', 'enrichment', 'cache', 'ldm', 'programs')
    before = [contents(world.folder / stage) for stage in stages]
    bundle = verify(world.folder / 'bundle')[1]
    assert call(world.recipe, world.folder) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(
        chain.STAGES)
    assert [contents(world.folder / stage) for stage in stages] == before
    assert verify(world.folder / 'bundle')[1] == bundle


def test_interrupted_equals_undisturbed(world, tmp_path):
    # That the same data is drawn is tested below.
    shutil.copytree(world.folder / 'data', tmp_path / 'run/data')
    assert call(world.recipe, tmp_path / 'run') == 0
    found, wanted = (verify(folder / 'bundle')[0].files for folder in
                     (tmp_path / 'run', world.folder))
    # The curves' points are means since the beginning or the interruption.
    assert {name for name in found if found[name] != wanted[name]} <= {'curves.png'}
    assert found.keys() == wanted.keys()


def test_the_bundle_does_not_tell_where_it_was_made(world):
    texts = [path for path in (world.folder / 'bundle').rglob('*')
             if path.suffix in ('.json', '.md', '.yaml')]
    assert len(texts) > 10
    assert not [path for path in texts if str(world.folder) in path.read_text(encoding='utf-8')]


def test_it_ends_after_the_stage_that_is_named(world, tmp_path, capsys):
    assert call(world.recipe, tmp_path / 'run', '--until', 'data') == 0
    assert capsys.readouterr().out.split() == ['data', str(tmp_path / 'run/data')]
    assert [path.name for path in (tmp_path / 'run').iterdir()] == ['data']
    assert PairDataset(tmp_path / 'run/data', 'train', check_hashes=True).sha256 == (
        PairDataset(world.folder / 'data', 'train').sha256)


def test_the_untuned_variant_shares_the_folder(world, tmp_path):
    folder = tmp_path / 'run'
    for part in ('data', 'foundations', 'cache'):
        shutil.copytree(world.folder / part, folder / part)
    recipe = write_recipe(tmp_path, ldm={**RECIPE['ldm'], 'variant': 'joint_untuned'})
    assert call(recipe, folder) == 0
    # Nothing is tuned, and what the tuned model said stays as it is.
    assert not (folder / 'vllm').exists()
    assert not (folder / 'enrichment').exists()
    assert read_index(folder / 'enrichment-untuned/train').vllm != read_index(
        world.folder / 'enrichment/train').vllm
    card = (folder / 'bundle/README.md').read_text(encoding='utf-8')
    assert '| language |' in card
    assert '| VLLM |' not in card


def test_a_recipe_that_was_changed_halfway_is_refused(world, tmp_path, capsys):
    recipe = write_recipe(tmp_path, kitchen={'episodes': 5, 'size': 64})
    assert call(recipe, world.folder) == 2
    assert str(world.folder / 'data') in capsys.readouterr().err


def test_the_command_line_knows_the_stages():
    assert train.STAGES == chain.STAGES
