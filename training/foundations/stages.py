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

"""All foundations, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lego_ros.training.foundations.clip import ClipSettings, load_clip, train_clip
from lego_ros.training.foundations.kitchen_split import KitchenSplit
from lego_ros.training.foundations.language import LanguageSettings, train_language
from lego_ros.training.foundations.sight import load_tower, SightSettings, train_sight
from lego_ros.training.foundations.sizes import FoundationSize, size_of, SizeName
from lego_ros.training.foundations.tokenizers import make_tokenizers
from lego_ros.training.foundations.vae import train_vae, VaeSettings
from lego_ros.training.run.journal import draw_curves
from pydantic import BaseModel, ConfigDict

STAGES = ('sight', 'clip', 'vae', 'language')
"""Those that are trained, in this order."""


class FoundationSettings(BaseModel):
    """A recipe's section ``foundations``."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    size: SizeName = 'kitchen'
    sight: SightSettings = SightSettings()
    clip: ClipSettings = ClipSettings()
    vae: VaeSettings = VaeSettings()
    language: LanguageSettings = LanguageSettings()
    train_split: str = 'train'
    validation_split: str = 'validation'


@dataclass(frozen=True)
class Foundations:
    """
    Where the foundations are.

    :param folder: of all of them.
    """

    folder: Path

    @property
    def tokenizers(self) -> Path:
        """With ``vllm`` and ``clip``."""
        return self.folder / 'tokenizers'

    @property
    def sight(self) -> Path:
        """As ``CLIPVisionModel``: the tower that CLIP begins with."""
        return self.folder / 'sight'

    @property
    def clip(self) -> Path:
        """As ``CLIPModel``; psi alone is in ``text_encoder`` and ``tokenizer`` below it."""
        return self.folder / 'clip'

    @property
    def vae(self) -> Path:
        """As ``AutoencoderKL``."""
        return self.folder / 'vae'

    @property
    def vllm(self) -> Path:
        """As ``lego_ros.vllm.loading.load_vllm`` reads it; not tuned."""
        return self.folder / 'vllm'

    def run(self, stage: str) -> Path:
        """
        Name the folder of a stage's checkpoints and figures.

        :param stage: of STAGES.
        :returns: its path.
        """
        return self.folder / 'runs' / stage


def train_foundations(settings: FoundationSettings, data: Path, folder: Path, *,
                      stop: Callable[[], bool] = lambda: False) -> Foundations:
    """
    Train all foundations, going on where an earlier run stopped.

    :param settings: see there.
    :param data: folder of the kitchen's pairs, with descriptions and truth.
    :param folder: for the results, such as ``<run>/foundations``.
    :param stop: asked after each step.
    :returns: where the results are.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: see ``PairDataset``, ``Scenes`` and ``train``.
    """
    size, places = size_of(settings.size), Foundations(folder)
    train, validation = (
        KitchenSplit.load(data, split, _tower_side(size))
        for split in (settings.train_split, settings.validation_split))
    words, clip_words = make_tokenizers(train.pairs, train.scenes, size, places.tokenizers)
    train_sight(settings.sight, size, train, validation, places.sight, places.run('sight'),
                stop=stop)
    train_clip(settings.clip, size, train, validation, clip_words, load_tower(places.sight),
               places.clip, places.run('clip'), stop=stop)
    train_vae(settings.vae, size, train.pairs, validation.pairs, places.vae, places.run('vae'),
              stop=stop)
    train_language(settings.language, size, train, validation, words, load_clip(places.clip)[0],
                   places.vllm, places.run('language'), stop=stop)
    draw_curves({stage: places.run(stage) for stage in STAGES}, folder / 'curves.png')
    return places


def _tower_side(size: FoundationSize) -> int:
    return int(size.llava(size.vocabulary).vision_config.image_size)
