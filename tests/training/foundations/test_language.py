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

"""The VLLM before its tuning, and all stages in one call."""

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.foundations.captions import full_caption, SCENE_QUESTIONS
from lego_ros.training.foundations.clip import build_clip, load_clip
from lego_ros.training.foundations.language import (
    build_llava,
    LanguageSettings,
    SceneCollate,
    SceneObjective,
    SceneQuestions,
)
from lego_ros.training.foundations.pictures import image_processor, normalised, stacked
from lego_ros.training.foundations.stages import FoundationSettings, STAGES, train_foundations
from lego_ros.training.foundations.tokenizers import load_tokenizers
from lego_ros.training.run.draws import Draw
from lego_ros.training.run.journal import read_metrics
from lego_ros.vllm.enrichment import Enricher, EnrichmentSettings
from lego_ros.vllm.loading import load_vllm
from pydantic import ValidationError
import pytest
import torch
from torch.nn import functional

COMMON = {'epochs': None, 'batch_size': 4, 'precision': 'fp32', 'warmup': 0.0, 'log_every': 5,
          'validate_every': 100}
SETTINGS = FoundationSettings.model_validate({
    'size': 'tiny', 'sight': {**COMMON, 'steps': 2}, 'clip': {**COMMON, 'steps': 2},
    'vae': {**COMMON, 'steps': 1}, 'language': {**COMMON, 'steps': 60, 'lr': 4e-3}})


@pytest.fixture(scope='module')
def trained(kitchen, tmp_path_factory):
    return train_foundations(SETTINGS, kitchen, tmp_path_factory.mktemp('run') / 'foundations')


@pytest.fixture
def untrained(size, tokenizers):
    clip = build_clip(size, tokenizers[1], 0)
    return build_llava(size, tokenizers[0], clip, 0), clip


def test_its_tower_is_clips(untrained):
    model, clip = untrained
    theirs = clip.vision_model.state_dict()
    ours = model.model.vision_tower.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_only_the_answer_is_learned(untrained, splits, tokenizers):
    model, _ = untrained
    train, _ = splits
    data = SceneQuestions(train, tokenizers[0])
    samples = [data[Draw(index, index)] for index in range(3)]
    batch = SceneCollate(model.image_tokens)(samples)
    objective = SceneObjective(model.eval(), image_processor(64))
    loss, _ = objective(batch)
    # The same by the model's own way to join pictures and words, one dialogue at a time.
    total, count = torch.zeros(()), 0
    for dialogue, picture in samples:
        prompt = [*dialogue.before, *[model.config.image_token_id] * model.image_tokens,
                  *dialogue.after]
        ids = torch.tensor([[*prompt, *dialogue.answer]])
        logits = model(
            input_ids=ids,
            pixel_values=normalised(stacked([picture]), image_processor(64))).logits[0]
        total = total + functional.cross_entropy(
            logits[len(prompt) - 1:-1], torch.tensor(dialogue.answer), reduction='sum')
        count += len(dialogue.answer)
    assert loss.item() == pytest.approx(total.item() / count, rel=1e-4)


def test_everything_that_matters_is_trained(untrained, splits, tokenizers):
    model, _ = untrained
    train, _ = splits
    data = SceneQuestions(train, tokenizers[0])
    objective = SceneObjective(model, image_processor(64))
    objective(SceneCollate(model.image_tokens)([data[Draw(0, 0)], data[Draw(1, 1)]]))[0].backward()
    without = {name for name, weight in objective.named_parameters() if weight.grad is None}
    frozen = {name for name, weight in objective.named_parameters() if not weight.requires_grad}
    assert without == frozen
    assert all('vision_tower.encoder.layers.2.' in name or 'post_layernorm' in name
               for name in frozen)
    assert any('vision_tower.embeddings' in name
               for name, weight in objective.named_parameters() if weight.grad is not None)


def test_questions_and_answers_fit_their_picture(splits, tokenizers):
    train, _ = splits
    data = SceneQuestions(train, tokenizers[0])
    dialogue, picture, text = data.whole_scene(2)
    assert text == full_caption(train.scenes.state(train.pairs[2], 'input'))
    assert tokenizers[0].decode(dialogue.answer[:-1]).strip() == text
    assert dialogue.answer[-1] == tokenizers[0].eos_token_id
    assert picture.shape == (64, 64, 3)
    assert data[Draw(2, 9)][0] == data[Draw(2, 9)][0]


def test_all_foundations_are_there_and_load(trained, kitchen):
    model, tokenizer, processor = load_vllm(trained.vllm, torch.float32)
    clip, clip_tokenizer, _ = load_clip(trained.clip)
    words, clip_words = load_tokenizers(trained.tokenizers)
    assert tokenizer.get_vocab() == words.get_vocab()
    assert clip_tokenizer.get_vocab() == clip_words.get_vocab()
    assert (trained.vae / 'config.json').is_file()
    assert (trained.folder / 'curves.png').stat().st_size > 5000
    assert model.image_tokens == 16
    assert not [path for path in trained.folder.iterdir() if path.name.startswith('.')]
    # Training has moved the tower away from CLIP's.
    assert not torch.equal(model.model.vision_tower.embeddings.patch_embedding.weight,
                           clip.vision_model.embeddings.patch_embedding.weight)
    assert processor.size == {'height': 64, 'width': 64}


def test_its_loss_falls_and_it_speaks(trained, splits):
    rows = read_metrics(trained.run('language'))
    losses = [row['loss'] for row in rows if 'loss' in row]
    assert losses[-1] < 0.5 * losses[0]
    assert rows[-1]['validation/accuracy'] > 0.3
    train, _ = splits
    model, tokenizer, processor = load_vllm(trained.vllm, torch.float32)
    _, clip_tokenizer, _ = load_clip(trained.clip)
    enrichment = Enricher(model, tokenizer, processor, clip_tokenizer).enrich(
        train.pairs.picture(0, 'input'), 'open the drawer',
        EnrichmentSettings(temperature=0.0, max_new_tokens=40))
    assert enrichment.answered
    assert enrichment.text.split()[0] in ('The', 'Water')


def test_a_second_call_changes_nothing(trained, kitchen):
    before = {path: path.read_bytes() for path in trained.folder.rglob('*.safetensors')
              if 'runs' not in path.parts}
    # Tower, CLIP, its text encoder, auto-encoder, VLLM.
    assert len(before) == 5
    again = train_foundations(SETTINGS, kitchen, trained.folder)
    assert again == trained
    assert {path: path.read_bytes() for path in before} == before
    for stage in STAGES:
        steps = [row['step'] for row in read_metrics(trained.run(stage)) if 'loss' in row]
        assert steps == sorted(set(steps))


def test_other_settings_in_the_same_folder_are_refused(trained, kitchen):
    other = SETTINGS.model_copy(update={
        'clip': SETTINGS.clip.model_copy(update={'lr': 0.5})})
    with pytest.raises(LegoError, match='other values of settings') as caught:
        train_foundations(other, kitchen, trained.folder)
    assert caught.value.code is ErrorCode.INVALID_SETTING


def test_a_split_that_is_not_there(kitchen, tmp_path):
    settings = SETTINGS.model_copy(update={'validation_split': 'dev'})
    with pytest.raises(LegoError, match='there are: train, validation'):
        train_foundations(settings, kitchen, tmp_path)


def test_unknown_settings_are_refused():
    with pytest.raises(ValidationError, match='learning_rate'):
        FoundationSettings.model_validate({'vae': {'learning_rate': 1}})
    with pytest.raises(ValidationError, match='size'):
        FoundationSettings.model_validate({'size': 'huge'})
    assert LanguageSettings().epochs


def test_the_scene_is_not_asked_for_actions():
    assert all('action' not in question and ' do ' not in question
               for question in SCENE_QUESTIONS)
