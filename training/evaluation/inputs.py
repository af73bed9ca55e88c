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

"""A run of ``lego-ros train kitchen``: what there is in its folder to be evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.view import View
from lego_ros.training.data.dataset import MANIFEST
from lego_ros.training.data.files import unusable
from lego_ros.training.enrichment.settings import EnrichSettings
from lego_ros.training.export.truth_lines import TRUTH
from lego_ros.training.ldm.finetune import RESULT
from lego_ros.training.ldm.networks import read_record
from lego_ros.training.ldm.variants import Variant, VARIANTS
from pydantic import ValidationError

_FREE = frozenset({'checkpoint_every', 'validate_every', 'log_every', 'loaders', 'micro_batch',
                   'seed'})
"""Settings of the loop that are no part of the budget."""


@dataclass(frozen=True)
class Network:
    """
    A trained UNet with its conditioning.

    :param name: of its folder in the run's ``ldm``.
    :param folder: with ``unet`` and ``conditioning``.
    :param record: what it was trained on.
    """

    name: str
    folder: Path
    record: dict[str, Any]

    @property
    def variant_name(self) -> str:
        """Which row of the table it belongs to."""
        return str(self.record['variant'])

    @property
    def variant(self) -> Variant:
        """Say what it is conditioned on."""
        return VARIANTS[self.record['variant']]

    @property
    def seed(self) -> int:
        """Of its training."""
        return int(self.record['loop']['seed'])

    @property
    def view(self) -> View:
        """Its field of view."""
        return View(self.record['view'])

    @property
    def resolution(self) -> int:
        """Side of its pictures in pixels."""
        return int(self.record['resolution'])


class RunFolder:
    """
    The folder that ``lego-ros train`` wrote.

    Networks are found by what their ``training.json`` says; their folders' names are free, so that
    ``ldm/labels-1`` may hold the variant ``labels`` trained with another seed.

    :param folder: of the run.
    :raises LegoError: SOURCE_UNREADABLE: a part that every evaluation needs is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.data, foundations = folder / 'data', folder / 'foundations'
        self.clip = self.text = foundations / 'clip'
        self.vae = foundations
        self.vllms = {True: folder / 'vllm' / 'model', False: foundations / 'vllm'}
        """By whether it is tuned."""
        self._ldm, self._asked = folder / 'ldm', folder / 'enrichment' / 'train' / 'identity.json'
        for path, stage in ((self.data / MANIFEST, 'data'), (self.data / TRUTH, 'data'),
                            (self.clip / 'config.json', 'foundations'),
                            (self.vae / 'vae' / 'config.json', 'foundations')):
            if not path.is_file():
                raise unusable(path, f'it is missing: the stage {stage!r} of lego-ros train '
                               'kitchen makes it')

    def networks(self, variants: Sequence[str] | None) -> list[Network]:
        """
        List the trained networks, which must have had the same budget.

        :param variants: those that are wanted; None = all that there are.
        :returns: in the order of VARIANTS, then of their seeds.
        :raises LegoError: SOURCE_UNREADABLE: there is none of a variant; INVALID_SETTING: two were
            not trained alike.
        """
        found = []
        for folder in sorted(self._ldm.glob(f'*/{RESULT}')):
            record = read_record(folder)
            if record is None or record.get('variant') not in VARIANTS:
                raise unusable(folder, 'it holds no trained networks; train them (again)')
            found.append(Network(folder.parent.name, folder, record))
        there = {network.variant_name for network in found}
        for name in variants or ():
            if name not in there:
                raise unusable(self._ldm, f'the variant {name!r} is not trained; there are: '
                               f'{", ".join(sorted(there)) or "none"}')
        if not found:
            raise unusable(self._ldm, 'no variant is trained yet')
        order = list(VARIANTS)
        chosen = sorted((network for network in found
                         if variants is None or network.variant_name in variants),
                        key=lambda each: (order.index(each.record['variant']), each.seed))
        _check_budget(chosen)
        return chosen

    def asking(self) -> EnrichSettings:
        """
        Tell how the VLLM was asked for the training pairs; so it is asked for the held-out ones.

        :returns: the settings, without mirror images.
        :raises LegoError: SOURCE_UNREADABLE: the enrichment is missing or damaged.
        """
        try:
            said = json.loads(self._asked.read_text(encoding='utf-8'))
            known = {key: value for key, value in said.items()
                     if key in EnrichSettings.model_fields}
            return EnrichSettings.model_validate({**known, 'flipped': False})
        except (OSError, ValueError, AttributeError, ValidationError) as error:
            raise unusable(self._asked, f'it cannot be read ({error}): the stage enrichment of '
                           'lego-ros train kitchen makes it') from error


def _check_budget(networks: Sequence[Network]) -> None:
    """Refuse to compare what was not trained alike."""
    first = networks[0]
    seen: dict[tuple[str, int], Path] = {}
    for network in networks:
        differ = [key for key, value in _budget(network).items() if _budget(first)[key] != value]
        if differ:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f"'{network.folder}' was not trained as '{first.folder}' was: "
                f'{", ".join(differ)} differ. Compare variants with the same budget only')
        key = (network.variant_name, network.seed)
        if key in seen:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f"'{network.folder}' and '{seen[key]}' are the same variant and seed")
        seen[key] = network.folder


def _budget(network: Network) -> dict[str, Any]:
    record = network.record
    loop = {f'loop.{key}': value for key, value in record['loop'].items() if key not in _FREE}
    return {**loop, **{key: record.get(key) for key in (
        'size', 'resolution', 'view', 'flip', 'drop', 'pairs', 'vae', 'text_encoder')}}
