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

"""
The VLLM before its tuning: it says what is seen in a frame, but nothing of actions.

Vision tower (from the kitchen's CLIP), projector and language model are all trained; the tuning
that follows freezes the tower, as the paper does with one that had seen the world before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from lego_ros.training.data.files import replacing
from lego_ros.training.foundations.captions import dialogue, full_caption, SCENE_QUESTIONS
from lego_ros.training.foundations.grids import grid
from lego_ros.training.foundations.kitchen_split import KitchenSplit
from lego_ros.training.foundations.pictures import image_processor, normalised, stacked
from lego_ros.training.foundations.settings import Transformer
from lego_ros.training.foundations.sizes import FoundationSize
from lego_ros.training.foundations.tokenizers import fingerprint
from lego_ros.training.foundations.tower import freeze_unread, patch_states
from lego_ros.training.run.attention import with_fast_attention
from lego_ros.training.run.draws import Draw
from lego_ros.training.run.identity import module_sha256
from lego_ros.training.run.loop import train, Validation
from lego_ros.training.vllm.answers import Dialogue, encode_dialogue, lay_out
from lego_ros.training.vllm.objective import AnswerObjective
from lego_ros.vllm.decoding import decode, DecodeSettings
from lego_ros.vllm.llava import LegoLlava
from lego_ros.vllm.prompt import encode_prompt
import numpy as np
from pydantic import Field
import torch
from torch import nn, Tensor
from transformers import CLIPImageProcessorPil, CLIPModel, PreTrainedTokenizerFast

VALIDATED = 128
"""Frames that a validation looks at, at most."""
_SHOWN = 6
_ANSWER = 192
"""Tokens of a shown caption, at most."""


class LanguageSettings(Transformer):
    """How the VLLM learns to say what it sees."""

    epochs: float | None = 10.0
    batch_size: Annotated[int, Field(gt=0)] = 64
    lr: Annotated[float, Field(gt=0)] = 5e-4
    compile: bool = False
    """Whether torch.compile makes the language model faster, see ``TuneSettings``."""
    checkpoint_every: Annotated[int, Field(gt=0)] = 250
    validate_every: Annotated[int, Field(gt=0)] = 500


class SceneQuestions:
    """
    Frames with a question about what is seen in them; half of them are mirrored.

    :param split: of the kitchen.
    :param tokenizer: the VLLM's.
    """

    def __init__(self, split: KitchenSplit, tokenizer: PreTrainedTokenizerFast) -> None:
        self._split, self._tokenizer = split, tokenizer

    def __len__(self) -> int:
        """Give the number of pairs."""
        return len(self._split.pairs)

    def name(self, index: int) -> str:
        """Give a pair's id."""
        return self._split.pairs[index].pair_id

    def __getitem__(self, draw: Draw) -> tuple[Dialogue, np.ndarray]:
        """Give a dialogue, and a picture (side, side, 3) uint8."""
        rng = np.random.default_rng(draw.seed)
        mirrored, target = bool(rng.random() < 0.5), bool(rng.random() < 0.5)
        which: Literal['input', 'target'] = 'target' if target else 'input'
        pair = self._split.pairs[draw.index]
        question, answer = dialogue(self._split.scenes.state(pair, which, mirrored), rng)
        return (encode_dialogue(question, answer, self._tokenizer),
                self._split.pictures.get(draw.index, which, mirrored))

    def whole_scene(self, index: int) -> tuple[Dialogue, np.ndarray, str]:
        """
        Give the question that every validation asks.

        :param index: of the pair.
        :returns: the dialogue, the input picture, and the true caption.
        """
        text = full_caption(self._split.scenes.state(self._split.pairs[index], 'input'))
        return (encode_dialogue(SCENE_QUESTIONS[0], text, self._tokenizer),
                self._split.pictures.get(index, 'input'), text)


class SceneCollate:
    """
    Makes a batch of dialogues with pictures.

    :param image_tokens: M.
    """

    def __init__(self, image_tokens: int) -> None:
        self._image_tokens = image_tokens

    def __call__(self, samples: Sequence[tuple[Dialogue, np.ndarray]]) -> dict[str, Any]:
        """Give the fields of ``answers.Layout`` and ``pictures`` (B, side, side, 3) uint8."""
        batch = lay_out([each for each, _ in samples], self._image_tokens)
        return {**batch, 'pictures': stacked([picture for _, picture in samples])}


class SceneObjective(AnswerObjective):
    """
    Cross-entropy on the answer's tokens alone, the vision tower trained too.

    :param model: the VLLM.
    :param processor: gives mean and standard deviation of its pictures.
    :param compiled: see :class:`AnswerObjective`.
    """

    def __init__(self, model: LegoLlava, processor: CLIPImageProcessorPil,
                 compiled: bool = False) -> None:
        super().__init__(model, compiled)
        self.vision_tower = model.model.vision_tower
        self._processor = processor
        self._layer = int(model.config.vision_feature_layer)
        freeze_unread(self.vision_tower, self._layer)

    def forward(self, batch: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """
        Compute the loss.

        :param batch: of :class:`SceneCollate`.
        :returns: see :class:`AnswerObjective`.
        """
        pixels = normalised(batch['pictures'], self._processor)
        vision = patch_states(self.vision_tower, pixels, self._layer)
        return super().forward({**batch, 'vision': vision})


def train_language(settings: LanguageSettings, size: FoundationSize, data: KitchenSplit,
                   validation: KitchenSplit, tokenizer: PreTrainedTokenizerFast, clip: CLIPModel,
                   folder: Path, run: Path, *,
                   stop: Callable[[], bool] = lambda: False) -> Path:
    """
    Train the VLLM on captions, going on where an earlier run stopped.

    :param settings: see there.
    :param size: of the VLLM.
    :param data: the training split.
    :param validation: the validation split.
    :param tokenizer: the VLLM's.
    :param clip: whose vision tower it starts with.
    :param folder: for the result, as ``lego_ros.vllm.loading.load_vllm`` reads it.
    :param run: for checkpoints and figures.
    :param stop: asked after each step.
    :returns: the folder of the result.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: see ``train``.
    """
    model = build_llava(size, tokenizer, clip, settings.seed)
    processor = image_processor(model.config.vision_config.image_size)
    shown = SceneQuestions(validation, tokenizer)
    collate = SceneCollate(model.image_tokens)

    def validate(bare: nn.Module, step: int) -> Validation:
        return _validate(bare, model, shown, collate, tokenizer)

    train(SceneObjective(model, processor, settings.compile), SceneQuestions(data, tokenizer),
          settings, run,
          identity={'stage': 'language', 'data': data.sha256, 'tokenizer': fingerprint(tokenizer),
                    'clip': module_sha256(clip),
                    'model': json.loads(model.config.to_json_string())},
          collate=collate, validate=validate, stop=stop)
    with replacing(folder, 'the untuned VLLM') as part:
        for saved in (model, tokenizer, processor):
            saved.save_pretrained(part)
    return folder


def build_llava(size: FoundationSize, tokenizer: PreTrainedTokenizerFast, clip: CLIPModel,
                seed: int) -> LegoLlava:
    """
    Make a VLLM that sees, but knows no words.

    :param size: of the VLLM.
    :param tokenizer: gives the vocabulary.
    :param clip: its vision tower is copied.
    :param seed: the same seed gives the same weights.
    :returns: the model in training mode; the global random state is left alone.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LegoLlava(size.llava(len(tokenizer)))
    model.model.vision_tower.load_state_dict(clip.vision_model.state_dict())
    return with_fast_attention(model).train()


def _validate(objective: nn.Module, model: LegoLlava, data: SceneQuestions,
              collate: SceneCollate, tokenizer: PreTrainedTokenizerFast, batch: int = 32
              ) -> Validation:
    """Give loss and accuracy of whole captions, and show some that it writes."""
    device = model.device
    count = min(len(data), VALIDATED)
    samples = [data.whole_scene(index) for index in range(count)]
    sums, tokens = {'loss': 0.0, 'accuracy': 0.0}, 0
    for first in range(0, count, batch):
        portion = collate([(each, picture) for each, picture, _ in samples[first:first + batch]])
        loss, others = objective({key: value.to(device) for key, value in portion.items()})
        weight = len(portion['targets'])
        tokens += weight
        for key, value in {'loss': loss, **others}.items():
            sums[key] += float(value) * weight
    rows = ['| true | said |', '|---|---|']
    processor = image_processor(model.config.vision_config.image_size)
    for _, picture, text in samples[:_SHOWN]:
        rows.append(f'| {text} | {_said(model, processor, tokenizer, picture)} |')
    return Validation({key: value / tokens for key, value in sums.items()},
                      {'frames': grid([[picture for _, picture, _ in samples[:_SHOWN]]])},
                      {'captions': '\n'.join(rows)})


@torch.no_grad()
def _said(model: LegoLlava, processor: CLIPImageProcessorPil, tokenizer: PreTrainedTokenizerFast,
          picture: np.ndarray) -> str:
    """Ask the model what it sees."""
    before, after = (torch.tensor(ids, device=model.device)
                     for ids in encode_prompt(SCENE_QUESTIONS[0], tokenizer))
    embed = model.get_input_embeddings()
    pixels = normalised(stacked([picture]).to(model.device), processor)
    image = model.get_image_features(pixel_values=pixels).pooler_output[0]
    decoded = decode(model, torch.cat([embed(before), image, embed(after)])[None],
                     tokenizer.eos_token_id,
                     DecodeSettings(temperature=0.0, max_new_tokens=_ANSWER))
    text = str(tokenizer.decode(list(decoded.token_ids), skip_special_tokens=True))
    return ' '.join(text.replace('|', ' ').split())
