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
Training throughput of the LDM against diffusers' own InstructPix2Pix training loop.

That loop encodes both pictures and the text in each step; ours reads them from its caches. Both
train the same UNet from the same weights with the same batch, precision, optimiser and average,
turn by turn in one run. Pictures lie decoded in memory for diffusers' loop, which in truth would
have to decode them from files as well. The kitchen's size; random pictures and weights, which
cost as much as real ones.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
import tempfile
import time
from typing import Any

from benchmarks.report import Figure, Report, Target
from diffusers import DDPMScheduler
from diffusers.training_utils import EMAModel
from lego_ros.ldm.config import build_pipeline, kitchen_size, scheduler_config
from lego_ros.ldm.pipeline import LegoPipeline
from lego_ros.ldm.view import View
from lego_ros.training.enrichment.shards import (
    EnrichedSample,
    EnrichmentIndex,
    write_index,
    write_shard,
)
from lego_ros.training.ldm.data import LdmData, Words
from lego_ros.training.ldm.features import Enrichment
from lego_ros.training.ldm.latents import Latents
from lego_ros.training.ldm.networks import speed_up
from lego_ros.training.ldm.objective import LegoObjective
from lego_ros.training.ldm.texts import encode_texts, TextEncodings
from lego_ros.training.ldm.variants import VariantName, VARIANTS
from lego_ros.training.run.journal import read_metrics
from lego_ros.training.run.loop import train
from lego_ros.training.run.settings import LoopSettings
from lego_ros.vllm.tokenizers import make_clip_tokenizer
import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

_PAIRS = 64
_BATCH = 32
_LR = 1e-4
_EMA = 0.9999
_VISION = 192
_LEAST = 2.0
"""How many times as many images per second as diffusers' loop."""


@dataclass(frozen=True)
class _Pair:
    pair_id: str
    label: str
    input_sha256: str = ''
    target_sha256: str = ''


class _Pairs:
    """Random pictures, as a dataset of pairs gives them."""

    def __init__(self) -> None:
        noise = np.random.default_rng(0)
        self.pictures = noise.integers(0, 256, (_PAIRS, 2, 128, 128, 3), dtype=np.uint8)
        self._pairs = [_Pair(f'pair{number}', f'open the {number}. drawer with the left hand')
                       for number in range(_PAIRS)]

    def __len__(self) -> int:
        return _PAIRS

    def __getitem__(self, index: int) -> _Pair:
        return self._pairs[index]

    def __iter__(self) -> Any:
        return iter(self._pairs)

    def picture(self, index: int, which: str, mirrored: bool = False) -> np.ndarray:
        return self.pictures[index, int(which == 'target')]


def run(out: Path, rounds: int = 3, steps: int = 6) -> Report:
    """
    Run the benchmark.

    :param out: folder for logs; not used.
    :param rounds: how often each loop has its turn.
    :param steps: optimiser steps in a turn; the first of each is a warm-up.
    :returns: what was found.
    """
    pairs: Any = _Pairs()
    tokenizer = make_clip_tokenizer(['open the left drawer'], 600, max_length=48)
    pipeline = build_pipeline(kitchen_size(), tokenizer)
    peer = _PeerLoop(deepcopy(pipeline), pairs)
    names: tuple[VariantName, ...] = ('labels', 'joint')
    rates: dict[str, list[float]] = {'diffusers': [], **{name: [] for name in names}}
    with tempfile.TemporaryDirectory() as folder:
        ours = {name: _ours(name, deepcopy(pipeline), pairs, Path(folder) / 'cache')
                for name in names}
        for number in range(rounds):
            rates['diffusers'] += [_BATCH / peer.step() for _ in range(steps)][1:]
            for name, (objective, data) in ours.items():
                place = Path(folder) / f'{name}{number}'
                train(objective, data, _loop(steps), place)
                rates[name] += [row['samples_per_second'] for row in read_metrics(place)][1:]
    return _report(pipeline, peer, rates)


def _report(pipeline: LegoPipeline, peer: _PeerLoop, rates: dict[str, list[float]]) -> Report:
    labels, joint, theirs = (
        Figure(name, 'images/s', rates[key]) for name, key in (
            ('lego_ros, labels (what diffusers trains)', 'labels'),
            ('lego_ros, joint', 'joint'), ("diffusers' loop", 'diffusers')))
    size = kitchen_size()
    context = size.conditioning['text_tokens']
    ratio = theirs.percentile(50) / labels.percentile(50)
    return Report(
        'train_ldm',
        {'parameters of the UNet [M]':
            sum(weight.numel() for weight in pipeline.unet.parameters()) / 1e6,
         'GFLOP per estimate, labels': _gflop(pipeline.unet, context),
         'GFLOP per estimate, joint': _gflop(
             pipeline.unet, 2 * context + size.conditioning['image_tokens']),
         'batch': _BATCH, 'precision': 'bfloat16 autocast',
         'threads of PyTorch': torch.get_num_threads(),
         'times as many images per second': 1 / ratio},
        [theirs, Figure('- of which encoding pictures and text', 'ms per image', peer.encoding),
         labels, joint],
        [Target("time per image, of that of diffusers' loop", '', 1 / _LEAST, ratio)])


def _ours(name: VariantName, pipeline: LegoPipeline, pairs: Any, cache: Path
          ) -> tuple[LegoObjective, LdmData]:
    """Fill the caches, and give what ``train`` needs."""
    variant = VARIANTS[name]
    enrichment = _enrichment(cache / 'enriched', pairs) if variant.enriched else None
    words = Words(pairs, enrichment, variant, flip=False)
    latents = Latents(cache / 'latents', pairs, pipeline.vae, View.WHOLE, 128, flip=False)
    latents.fill(pipeline.vae)
    text = pipeline.text_encoder, pipeline.tokenizer
    texts = TextEncodings(cache / 'texts', words.all(), *text, 48)
    texts.fill(*text)
    speed_up(pipeline.unet, torch.device('cpu'))
    objective = LegoObjective(
        pipeline.unet, pipeline.conditioning, nn.Linear(_VISION, 256),
        encode_texts([''], *text, 48), variant, pipeline.vae.config.scaling_factor)
    return objective, LdmData(pairs, words, latents, texts, enrichment, variant, flip=False)


def _enrichment(folder: Path, pairs: Any) -> Enrichment:
    folder.mkdir(parents=True)
    noise = np.random.default_rng(1)
    shard = write_shard(folder, 0, [EnrichedSample(
        pair.pair_id, False, pair.label, pair.label, (), 'eos',
        noise.standard_normal((64, _VISION)).astype(np.float16),
        noise.standard_normal((48, 256)).astype(np.float16)) for pair in pairs])
    write_index(folder, EnrichmentIndex(
        schema='lego_ros/enrichment/1', vllm='0' * 64, image_tokens=64, vision_hidden=_VISION,
        hidden=256, samples=len(pairs), shards=(shard,), flipped=False))
    return Enrichment(folder)


def _loop(steps: int) -> LoopSettings:
    return LoopSettings(
        steps=steps, batch_size=_BATCH, lr=_LR, weight_decay=0.01, ema=_EMA, precision='bf16',
        log_every=1, checkpoint_every=steps, validate_every=steps)


def _gflop(unet: nn.Module, tokens: int) -> float:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        unet(torch.zeros(1, 8, 16, 16), torch.tensor([0]), torch.zeros(1, tokens, 256))
    return counter.get_total_flops() / 1e9


class _PeerLoop:
    """
    The steps of diffusers' ``train_instruct_pix2pix.py`` with bf16 and EMA.

    :param pipeline: its parts are trained and used as that script does.
    :param pairs: pictures and labels.
    """

    def __init__(self, pipeline: LegoPipeline, pairs: _Pairs) -> None:
        self._unet = pipeline.unet.train()
        # The frozen parts are cast as a whole; the UNet is left to autocast.
        self._vae = pipeline.vae.to(torch.bfloat16).requires_grad_(False)
        self._text = pipeline.text_encoder.to(torch.bfloat16).requires_grad_(False)
        self._tokenizer = pipeline.tokenizer
        self._schedule = DDPMScheduler(**scheduler_config())
        self._optimizer = torch.optim.AdamW(self._unet.parameters(), lr=_LR, weight_decay=0.01)
        self._average = EMAModel(self._unet.parameters(), decay=_EMA)
        pictures = torch.from_numpy(pairs.pictures).permute(0, 1, 4, 2, 3)
        self._pictures = pictures.float() / 127.5 - 1
        self._labels = [pair.label for pair in pairs]
        self._first = 0
        self.encoding: list[float] = []
        """Milliseconds per image."""

    def step(self) -> float:
        """
        Train on the next batch.

        :returns: seconds.
        """
        begin = time.perf_counter()
        places = [(self._first + number) % _PAIRS for number in range(_BATCH)]
        self._first += _BATCH
        latents, image, context, null = self._encode(places)
        self.encoding.append((time.perf_counter() - begin) / _BATCH * 1e3)
        noise = torch.randn_like(latents)
        times = torch.randint(0, 1000, (_BATCH,))
        noisy = self._schedule.add_noise(latents, noise, times)
        chance = torch.rand(_BATCH)
        context = torch.where((chance < 0.1)[:, None, None], null, context)
        image = image * ((chance < 0.05) | (chance >= 0.15))[:, None, None, None]
        with torch.autocast('cpu', torch.bfloat16):
            estimate = self._unet(
                torch.cat([noisy, image], dim=1), times, context, return_dict=False)[0]
        loss = nn.functional.mse_loss(estimate.float(), noise.float())
        loss.backward()
        nn.utils.clip_grad_norm_(self._unet.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad()
        self._average.step(self._unet.parameters())
        loss.item()
        return time.perf_counter() - begin

    def _encode(self, places: list[int]) -> tuple[torch.Tensor, ...]:
        before, after = self._pictures[places].to(torch.bfloat16).unbind(1)
        scale = self._vae.config.scaling_factor
        target = self._vae.encode(after).latent_dist.sample() * scale
        source = self._vae.encode(before).latent_dist.mode()
        texts = [self._labels[place] for place in places]
        return target, source, self._psi(texts), self._psi([''])

    def _psi(self, texts: list[str]) -> torch.Tensor:
        words = self._tokenizer(
            texts, padding='max_length', truncation=True, max_length=48, return_tensors='pt')
        return self._text(words.input_ids)[0]
