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
Every stage of a recipe in its order, each going on where an earlier run stopped.

A stage that is finished gives its result at once, so that the whole can simply be called again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
import threading

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.assembly import assemble, Parts
from lego_ros.training.curation.annotator import read_annotator
from lego_ros.training.curation.curate import curate_with_annotator
from lego_ros.training.curation.queries import Selection
from lego_ros.training.data.dataset import DESCRIPTIONS, MANIFEST
from lego_ros.training.enrichment.enrich import enrich
from lego_ros.training.enrichment.settings import EnrichSources
from lego_ros.training.export.generate import generate, Progress
from lego_ros.training.export.settings import ExportSettings
from lego_ros.training.export.truth_lines import TRUTH
from lego_ros.training.foundations.stages import train_foundations
from lego_ros.training.ldm.finetune import finetune, Sources
from lego_ros.training.ldm.variants import VARIANTS
from lego_ros.training.recipe import KitchenSettings, Recipe
from lego_ros.training.run.loop import Interrupted
from lego_ros.training.vllm.stage import TuneSources
from lego_ros.training.vllm.tune import RESULT, tune
from lego_ros.training.vllm.tune_programs import RESULT as ADAPTER
from lego_ros.training.vllm.tune_programs import tune_programs
from tqdm import tqdm

STAGES = ('data', 'foundations', 'tune', 'enrichment', 'ldm', 'programs', 'bundle')
SPLIT, HELD_OUT = 'train', 'validation'


@dataclass(frozen=True)
class Inputs:
    """
    What a recipe does not make itself.

    :param data: a prepared and curated dataset.
    :param vllm: a VLLM to be tuned, as a bundle has it.
    :param ldm: a diffusion pipeline: ``vae``, ``text_encoder``, ``tokenizer`` and ``unet``.
    """

    data: Path | None = None
    vllm: Path | None = None
    ldm: Path | None = None


def run_recipe(recipe: Recipe, inputs: Inputs, folder: Path, *, workers: int,
               stop: threading.Event, last: str = STAGES[-1]) -> Iterator[tuple[str, Path]]:
    """
    Run the stages of a recipe.

    :param recipe: what to do.
    :param inputs: what it does not make itself.
    :param folder: for everything; the bundle goes to its sub-folder ``bundle``.
    :param workers: processes that draw the kitchen.
    :param stop: ends the work in order when it is set.
    :param last: the stage after which to end.
    :returns: an iterator over the stages with the folders of their results.
    :raises Interrupted: ``stop`` was set; the same call goes on.
    :raises LegoError: INVALID_SETTING: an input is missing or one too many; and what the stages
        raise.
    """
    _check(recipe, inputs)
    stages = _Chain(recipe, inputs, folder, workers, stop)
    made: dict[str, Callable[[], Path]] = {
        'data': stages.data, 'foundations': stages.foundations, 'tune': stages.tune,
        'enrichment': stages.enrichment, 'ldm': stages.ldm, 'programs': stages.programs,
        'bundle': stages.bundle}
    for name in STAGES[:STAGES.index(last) + 1]:
        if name != 'programs' or recipe.programs is not None:
            yield name, made[name]()


class _Chain:
    """The stages, with the folders that lead from one to the next."""

    def __init__(self, recipe: Recipe, inputs: Inputs, folder: Path, workers: int,
                 stop: threading.Event) -> None:
        self._recipe, self._folder, self._workers, self._stop = recipe, folder, workers, stop
        foundations = folder / 'foundations'
        self._data = inputs.data or folder / 'data'
        self._start = inputs.vllm or foundations / 'vllm'
        self._pipeline = inputs.ldm
        self._ldm = inputs.ldm or foundations
        self._text = inputs.ldm or foundations / 'clip'
        self._variant = VARIANTS[recipe.ldm.variant]
        self._vllm = folder / 'vllm' / RESULT if self._variant.tuned else self._start
        # Beside each other, so that all variants can share a folder.
        self._enriched = folder / f"enrichment{'' if self._variant.tuned else '-untuned'}"

    def data(self) -> Path:
        kitchen = self._recipe.kitchen
        if kitchen is not None:
            curate_with_annotator(
                self._data / MANIFEST, self._data / DESCRIPTIONS,
                Selection(self._draw_kitchen(kitchen)), read_annotator(self._data / TRUTH))
        return self._data

    def _draw_kitchen(self, kitchen: KitchenSettings) -> tuple[str, ...]:
        """Make the pairs, and name their splits."""
        settings = ExportSettings('pairs', kitchen.episodes, kitchen.seed, kitchen.size)
        with tqdm(desc='data', unit='episode', total=kitchen.episodes) as bar:
            def show(progress: Progress) -> None:
                bar.update(progress.done - bar.n)

            summary = generate(settings, self._data, self._workers, self._stop, show)
        if summary is None:
            raise Interrupted(0)
        return tuple(summary['episodes'])

    def foundations(self) -> Path:
        if self._recipe.foundations is not None:
            train_foundations(self._recipe.foundations, self._data, self._folder / 'foundations',
                              stop=self._stop.is_set)
        return self._ldm

    def tune(self) -> Path:
        if self._variant.tuned:
            tune(self._recipe.tune, TuneSources(self._data, self._start, SPLIT, HELD_OUT),
                 self._folder / 'vllm', stop=self._stop.is_set)
        return self._vllm

    def enrichment(self) -> Path:
        for split in (SPLIT, HELD_OUT):
            settings = self._recipe.enrichment
            if split == HELD_OUT:
                # Only training is shown mirror images.
                settings = settings.model_copy(update={'flipped': False})
            enrich(settings, EnrichSources(
                dataset=self._data, split=split, vllm=self._vllm, text=self._text),
                self._enriched / split, stop=self._stop.is_set)
        return self._enriched

    def ldm(self) -> Path:
        variant = self._recipe.ldm.variant
        # None where the UNet starts from nothing.
        settings = self._recipe.ldm.model_copy(update={'start': self._pipeline})
        return finetune(settings, Sources(
            dataset=self._data, vae=self._ldm, text=self._text, cache=self._folder / 'cache',
            vllm=self._vllm, enrichment=self._enriched / SPLIT,
            held_out_enrichment=self._enriched / HELD_OUT, split=SPLIT, held_out=HELD_OUT),
            self._folder / 'ldm' / variant, stop=self._stop.is_set)

    def programs(self) -> Path:
        assert self._recipe.programs is not None
        return tune_programs(
            self._recipe.programs, TuneSources(self._data, self._vllm, SPLIT, HELD_OUT),
            self._data / TRUTH, self._folder / 'programs', stop=self._stop.is_set)

    def bundle(self) -> Path:
        return assemble(self._recipe, Parts(
            vllm=self._vllm, vae=self._ldm, text=self._text,
            ldm=self._folder / 'ldm' / self._recipe.ldm.variant / 'result',
            programs=self._folder / 'programs' / ADAPTER if self._recipe.programs else None,
            runs=self._runs(), evaluation=self._folder / 'eval' / 'evaluation.json'),
            self._folder / 'bundle')

    def _runs(self) -> dict[str, Path]:
        """Name the folders with the figures of all trainings."""
        runs = {'LDM': self._folder / 'ldm' / self._recipe.ldm.variant}
        if self._variant.tuned:
            runs = {'VLLM': self._folder / 'vllm', **runs}
        if self._recipe.programs is not None:
            runs['programs'] = self._folder / 'programs'
        if self._recipe.foundations is not None:
            first = self._folder / 'foundations' / 'runs'
            runs = {'CLIP': first / 'clip', 'VAE': first / 'vae',
                    'language': first / 'language', **runs}
        return runs


def _check(recipe: Recipe, inputs: Inputs) -> None:
    """Compare what is given with what the recipe does not make itself."""
    wanted = {'--data': (recipe.kitchen is None, inputs.data),
              '--vllm': (recipe.foundations is None, inputs.vllm),
              '--ldm': (recipe.foundations is None, inputs.ldm)}
    for name, (needed, given) in wanted.items():
        if needed and given is None:
            raise LegoError(ErrorCode.INVALID_SETTING,
                            f'this recipe does not make its own: give {name}')
        if not needed and given is not None:
            raise LegoError(ErrorCode.INVALID_SETTING,
                            f'this recipe makes its own: leave {name} out')
