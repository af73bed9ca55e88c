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

"""Visual instruction tuning as a stage: what is trained, resumed, refused and learned."""

from itertools import pairwise
import os
import pickle
import subprocess
import sys
from types import SimpleNamespace

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.view import View
from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.data.flip import swap_sides
from lego_ros.training.run.checkpoints import checkpoints
from lego_ros.training.run.draws import Draw, StepSampler
from lego_ros.training.run.journal import read_metrics
from lego_ros.training.run.loop import Interrupted
from lego_ros.training.vllm.answers import encode_dialogue
from lego_ros.training.vllm.data import Collate, InstructionData
from lego_ros.training.vllm.features import FrameFeatures
from lego_ros.training.vllm.identity import vllm_sha256
from lego_ros.training.vllm.networks import merge, prepare
from lego_ros.training.vllm.objective import AnswerObjective
from lego_ros.training.vllm.settings import TuneSettings
from lego_ros.training.vllm.stage import TuneSources
from lego_ros.training.vllm.tasks import Describe
from lego_ros.training.vllm.tune import tune
from lego_ros.vllm.enrichment import Enricher, EnrichmentSettings
from lego_ros.vllm.loading import load_vllm
from lego_ros.vllm.prompt import encode_prompt
from lego_ros.vllm.templates import question, QUESTION_TEMPLATES
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
import torch

LORA = {'rank': 4, 'alpha': 8, 'dropout': 0.1}


def settings(**changes):
    return TuneSettings(**{
        'epochs': None, 'steps': 6, 'batch_size': 4, 'lr': 1e-3, 'precision': 'fp32',
        'checkpoint_every': 2, 'validate_every': 6, 'log_every': 1, **changes})


def after(n):
    """Make a stop that says yes when it is asked for the n-th time."""
    asked = iter(range(1, 1000))
    return lambda: next(asked) >= n


def state(folder):
    return load_vllm(folder, torch.float32)[0].state_dict()


def changed(folder, other):
    """Name the parts whose weights differ."""
    one, two = state(folder), state(other)
    assert one.keys() == two.keys()
    return {'.'.join(name.split('.')[:2]) for name in one if not torch.equal(one[name], two[name])}


def equal(folder, other):
    return not changed(folder, other)


@pytest.fixture(scope='module')
def world(tmp_path_factory, write_described, vllm_folder):
    folder = tmp_path_factory.mktemp('world')
    write_described(folder / 'data')
    return SimpleNamespace(data=folder / 'data', vllm=vllm_folder,
                           sources=TuneSources(folder / 'data', vllm_folder))


@pytest.fixture(scope='module')
def whole(tmp_path_factory, world):
    folder = tmp_path_factory.mktemp('whole')
    return folder, tune(settings(), world.sources, folder)


def test_projector_and_language_model_are_trained_and_the_tower_is_not(world, whole):
    assert changed(whole[1], world.vllm) == {
        'model.multi_modal_projector', 'model.language_model', 'lm_head.weight'}


def test_the_result_answers_at_run_time(world, whole, small_clip_tokenizer):
    model, tokenizer, processor = load_vllm(whole[1], torch.float32)
    said = Enricher(model, tokenizer, processor, small_clip_tokenizer).enrich(
        PairDataset(world.data, 'train').picture(0), 'open left drawer',
        EnrichmentSettings(max_new_tokens=4))
    assert said.image_embeds.shape == (16, 64)
    assert said.text_embeds.isfinite().all()


def test_figures_descriptions_and_frames_are_logged(whole):
    folder, _ = whole
    rows = read_metrics(folder)
    assert [row['step'] for row in rows if 'loss' in row] == [1, 2, 3, 4, 5, 6]
    validated = [row for row in rows if 'validation/loss' in row]
    assert [row['step'] for row in validated] == [6]
    assert 0 <= validated[0]['validation/accuracy'] <= 1
    board = EventAccumulator(str(folder / 'tensorboard'))
    board.Reload()
    picture, = board.Images('frames')
    assert (picture.width, picture.height) == (2 * 224, 224)
    table = board.Tensors('answers/text_summary')[0].tensor_proto.string_val[0].decode()
    assert f'| {question("open left drawer")} |' in table
    assert 'The right hand reaches across and pulls the left drawer open. |' in table


@pytest.mark.parametrize('lora', [None, LORA])
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, world, whole, lora):
    straight = whole[1] if lora is None else tune(
        settings(lora=lora), world.sources, tmp_path / 'straight')
    for stop in (after(2), after(3)):
        with pytest.raises(Interrupted):
            tune(settings(lora=lora), world.sources, tmp_path / 'run', stop=stop)
    assert not (tmp_path / 'run/model').exists()
    assert equal(tune(settings(lora=lora), world.sources, tmp_path / 'run'), straight)
    assert not equal(straight, world.vllm)


def test_a_finished_run_gives_its_result_without_training(tmp_path, world, whole, monkeypatch):
    folder = tmp_path / 'copy'
    subprocess.run(['cp', '-r', whole[0], folder], check=True)
    before = sorted((path, path.stat().st_mtime_ns) for path in folder.rglob('*'))
    assert tune(settings(), world.sources, folder) == folder / 'model'
    assert sorted((path, path.stat().st_mtime_ns) for path in folder.rglob('*')) == before
    # Without the result itself it is written again from the last checkpoint.
    subprocess.run(['rm', '-r', folder / 'model'], check=True)
    assert equal(tune(settings(), world.sources, folder), whole[1])


def test_another_start_other_data_and_other_settings_are_refused(
        tmp_path, world, whole, save_tiny_vllm, write_described):
    other_vllm = save_tiny_vllm(tmp_path / 'vllm', seed=9)
    write_described(tmp_path / 'data', train=4)
    for changes, sources in (
            ({}, TuneSources(world.data, other_vllm)),
            ({}, TuneSources(tmp_path / 'data', world.vllm)),
            ({'lr': 0.5}, world.sources), ({'lora': LORA}, world.sources),
            ({'frame': 'target'}, world.sources)):
        with pytest.raises(LegoError) as error:
            tune(settings(**changes), sources, whole[0])
        assert error.value.code is ErrorCode.INVALID_SETTING
    assert tune(settings(), world.sources, whole[0]) == whole[1]


class Given:
    """Features that need no tower; those of mirror images are negative."""

    def __init__(self, rows, mirrored=False):
        self._rows, self.mirrored = rows, mirrored

    def get(self, index, mirrored=False):
        return -self._rows[index] if mirrored else self._rows[index]


def test_half_of_the_samples_are_mirrored_words_and_features(world, vllm_tokenizer):
    data = PairDataset(world.data, 'train')
    sides = [index for index in range(len(data)) if 'left' in data[index].description
             or 'right' in data[index].description]
    assert sides
    index = sides[0]
    plain = encode_dialogue('', data[index].description, vllm_tokenizer).answer
    swapped = encode_dialogue('', swap_sides(data[index].description), vllm_tokenizer).answer
    assert plain != swapped
    instructions = InstructionData(
        data, Given(torch.ones(len(data), 16, 32), mirrored=True), vllm_tokenizer, Describe())
    count = 0
    for seed in range(200):
        dialogue, vision = instructions[Draw(index, seed)]
        mirrored = bool((vision < 0).all())
        assert dialogue.answer == (swapped if mirrored else plain)
        count += mirrored
    assert 60 < count < 140
    whole = InstructionData(data, Given(torch.ones(len(data), 16, 32)), vllm_tokenizer, Describe())
    assert all(whole[Draw(index, seed)][0].answer == plain for seed in range(40))


def test_all_ten_templates_are_drawn_and_others_in_another_epoch(world, vllm_tokenizer):
    data = PairDataset(world.data, 'train')
    instructions = InstructionData(
        data, Given(torch.zeros(len(data), 16, 32)), vllm_tokenizer, Describe())
    prompts = [{tuple(encode_prompt(question(pair.label, template), vllm_tokenizer)[1]): template
                for template in range(len(QUESTION_TEMPLATES))} for pair in data]
    epochs = 60
    drawn = {index: [] for index in range(len(data))}
    for draws in StepSampler(len(data), len(data), len(data), 3, range(epochs)):
        for draw in draws:
            drawn[draw.index].append(prompts[draw.index][instructions[draw][0].after])
    for templates in drawn.values():
        assert set(templates) == set(range(10))
        repeated = sum(one == two for one, two in pairwise(templates))
        # One in ten by chance.
        assert repeated < 0.35 * epochs
    assert len({tuple(templates) for templates in drawn.values()}) == len(data)


def test_adapters_leave_the_base_alone_and_merge_into_the_same_outputs(make_vllm, world):
    model = make_vllm()
    base = {name: weight.clone() for name, weight in model.state_dict().items()}
    prepare(model, settings(lora=LORA))
    objective = AnswerObjective(model)
    trained = {name for name, weight in objective.named_parameters() if weight.requires_grad}
    assert trained
    assert all('lora_' in name or name.startswith('projector.') for name in trained)
    optimizer = torch.optim.AdamW(
        [weight for weight in objective.parameters() if weight.requires_grad], lr=0.01)
    noise = torch.Generator().manual_seed(1)
    batch = {
        'token_ids': torch.randint(5, 400, (2, 30), generator=noise),
        'image': torch.zeros(2, 30, dtype=torch.bool), 'mask': torch.ones(2, 30, dtype=torch.bool),
        'answers': torch.zeros(2, 30, dtype=torch.bool), 'targets': torch.arange(10) + 5,
        'vision': torch.randn(2, 16, 32, generator=noise)}
    batch['image'][:, 2:18] = True
    batch['answers'][:, 24:29] = True
    for _ in range(3):
        optimizer.zero_grad()
        objective(batch)[0].backward()
        optimizer.step()
    objective.eval()
    with torch.no_grad():
        adapted = objective.states(batch)
        merge(model)
        assert model.state_dict().keys() == base.keys()
        merged = AnswerObjective(model).states(batch)
    torch.testing.assert_close(merged, adapted, rtol=1e-3, atol=1e-3)
    prepared = make_vllm()
    untrained = AnswerObjective(prepared).states(batch)
    assert not torch.allclose(merged, untrained, atol=0.01)
    for name, weight in model.state_dict().items():
        frozen = 'vision_tower' in name or 'norm' in name or 'embed' in name or 'lm_head' in name
        assert torch.equal(weight, base[name]) == frozen, name


def test_gradient_checkpointing_gives_the_same_gradients(make_vllm, vllm_tokenizer, world):
    data = PairDataset(world.data, 'train')
    noise = torch.Generator().manual_seed(1)
    instructions = InstructionData(
        data, Given(torch.randn(len(data), 16, 32, generator=noise)), vllm_tokenizer, Describe())
    batch = Collate(16)([instructions.sample(index, index) for index in range(3)])
    gradients, recomputed = [], []
    for checkpointing in (False, True):
        model = make_vllm()
        prepare(model, settings(gradient_checkpointing=checkpointing))
        passes = []
        model.model.language_model.layers[0].mlp.register_forward_pre_hook(
            lambda *_, passes=passes: passes.append(1))
        objective = AnswerObjective(model).train()
        objective(batch)[0].backward()
        recomputed.append(len(passes))
        gradients.append({name: weight.grad for name, weight in objective.named_parameters()})
    assert recomputed == [1, 2]
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('frame', ['input', 'target'])
def test_it_learns_four_pairs_by_heart_frames_included(
        tmp_path, write_described, vllm_folder, small_clip_tokenizer, frame):
    pairs = write_described(tmp_path / 'data', train=4)
    # The first two have the same label: only the frame tells them apart.
    assert pairs[0].label == pairs[1].label
    assert pairs[0].description != pairs[1].description
    result = tune(
        settings(steps=150, lr=5e-3, schedule='cosine', frame=frame, checkpoint_every=150),
        TuneSources(tmp_path / 'data', vllm_folder, held_out=None), tmp_path / 'run')
    model, tokenizer, processor = load_vllm(result, torch.float32)
    enricher = Enricher(model, tokenizer, processor, small_clip_tokenizer)
    for index, pair in enumerate(pairs):
        said = enricher.enrich(
            View.WHOLE.vllm_view(pairs.picture(index, frame)), pair.label,
            EnrichmentSettings(temperature=0.0, max_new_tokens=60))
        assert said.text == pair.description
        assert said.stop == 'eos'


@pytest.mark.parametrize(('description', 'positions', 'code', 'message'), [
    (' ', None, ErrorCode.INVALID_SETTING, 'kitchen/train2: the answer to .* is empty'),
    ('word ' * 60, 200, ErrorCode.QUERY_TOO_LONG, 'kitchen/train2: .* of the 200 positions')])
def test_a_description_that_cannot_be_trained_on_is_named_before_the_first_step(
        tmp_path, write_described, save_tiny_vllm, description, positions, code, message):
    write_described(tmp_path / 'data', descriptions=[None, None, description])
    vllm = save_tiny_vllm(tmp_path / 'vllm', positions=positions)
    with pytest.raises(LegoError, match=message) as error:
        tune(settings(), TuneSources(tmp_path / 'data', vllm), tmp_path / 'run')
    assert error.value.code is code
    assert not checkpoints(tmp_path / 'run')


def test_samples_travel_to_loaders_without_their_content(tmp_path, world, whole, make_vllm):
    pairs, sha256 = PairDataset(world.data, 'train'), vllm_sha256(world.vllm)
    features = FrameFeatures(
        whole[0] / 'features-train', pairs, make_vllm(), sha256, 'input', View.WHOLE)
    _, tokenizer, _ = load_vllm(world.vllm, torch.float32)
    bare = len(pickle.dumps(tokenizer))
    data = InstructionData(pairs, features, tokenizer, Describe())
    wanted = Collate(16)([data[Draw(index, 8)] for index in (0, 3)])
    travelled = pickle.dumps((data, Collate(16)))
    assert len(travelled) < bare + 6000
    there, collate = pickle.loads(travelled)
    found = collate([there[Draw(index, 8)] for index in (0, 3)])
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def test_the_loss_in_bf16_is_near(make_vllm, vllm_tokenizer, world):
    data = PairDataset(world.data, 'train')
    noise = torch.Generator().manual_seed(1)
    instructions = InstructionData(
        data, Given(torch.randn(len(data), 16, 32, generator=noise).half()), vllm_tokenizer,
        Describe())
    batch = Collate(16)([instructions.sample(index, index) for index in range(3)])
    objective = AnswerObjective(make_vllm())
    with torch.autocast('cpu', torch.bfloat16):
        loss, _ = objective(batch)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, objective(batch)[0], rtol=0.02, atol=0.02)


def test_two_processes_tune_one_model(tmp_path, world):
    script = tmp_path / 'script.py'
    script.write_text(f"""
from pathlib import Path
from lego_ros.training.vllm.settings import TuneSettings
from lego_ros.training.vllm.stage import TuneSources
from lego_ros.training.vllm.tune import tune
if __name__ == '__main__':
    tune(TuneSettings.model_validate({settings().model_dump(mode='json')!r}),
         TuneSources(Path({str(world.data)!r}), Path({str(world.vllm)!r})),
         Path({str(tmp_path / 'two')!r}))
""")
    subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2',
         str(script)], check=True, timeout=250, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    # One process that sees the same two halves of each batch, one after the other.
    one = state(tune(settings(micro_batch=2), world.sources, tmp_path / 'one'))
    two = state(tmp_path / 'two/model')
    assert one.keys() == two.keys()
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=1e-3, atol=2e-4)
