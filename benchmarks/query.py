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
From a query to its action frame without ROS, against the public pipelines one after the other.

The peers are transformers' ``generate``, told how many tokens to make, a forward pass for the
states behind these, and diffusers' InstructPix2Pix pipeline. Words and pictures must be the same.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.kitchen import (
    BACKENDS,
    Bundle,
    fastest,
    interleaved,
    kitchen_bundle,
    ratio,
    Scene,
    scenes,
)
from benchmarks.peers import PeerPipeline, PeerVllm
from benchmarks.report import Figure, Report, Target
from lego_ros.ldm.conditioning import fit_rows
from lego_ros.runtime.lego_model import LegoModel
from lego_ros.runtime.model import AnswerSettings, Description
from lego_ros.training.evaluation.frames import psnr
from lego_ros.vllm.answer_text import AnswerText
from lego_ros.vllm.enrichment import Enrichment
from lego_ros.vllm.loading import load_processors
import numpy as np
import torch

_SEED = 0
_LEAST_EXACT, _LEAST_FAST = 3.0, 10.0
# Rounding differs between libraries, and a hundred steps carry it on.
_SAME_DB = 35.0
_EAGER, _EAGER_BF16 = 'peers, eager float32', 'peers, eager bfloat16'

Answer = Callable[[], tuple[np.ndarray, int]]
"""Gives the picture, and how many tokens the words before it had."""


def run(out: Path, rounds: int = 3) -> Report:
    """
    Run the benchmark.

    :param out: not used.
    :param rounds: how often each way answers.
    :returns: what was found.
    :raises RuntimeError: ours answers something else.
    """
    bundle = kitchen_bundle()
    scene = scenes(1, bundle.manifest.resolution)[0]
    models = {f'{backend} {precision}': _model(bundle, backend, precision)
              for backend, precision in BACKENDS}
    words = _describe(models['torch float32'], scene)
    answers: dict[str, tuple[np.ndarray, int]] = {}
    ways: dict[str, Answer] = {
        name: _Peers(bundle, precision, scene, words).answer
        for name, precision in ((_EAGER, 'float32'), (_EAGER_BF16, 'bfloat16'))}
    for name, model in models.items():
        ways[f'lego_ros, {name}'] = partial(_ours, model, scene, 'exact')
        ways[f'lego_ros, {name}, fast'] = partial(_ours, model, scene, 'fast')
    seconds = interleaved(
        {name: partial(_kept, answers, name, way) for name, way in ways.items()}, rounds, 0)
    for model in models.values():
        model.close()
    return _report(bundle, seconds, answers, words)


def _model(bundle: Bundle, backend: str, precision: str) -> LegoModel:
    bundle.build(backend, precision)
    model = LegoModel(bundle.folder, 'cpu', precision, backend=backend, cache=bundle.cache)
    model.warm_up()
    return model


def _describe(model: LegoModel, scene: Scene) -> Enrichment:
    settings = AnswerSettings(_SEED, temperature=0.)
    described: Enrichment = model.describe(
        scene.rgb, scene.action, settings, _nothing, _nothing).embeddings
    return described


def _ours(model: LegoModel, scene: Scene, mode: str) -> tuple[np.ndarray, int]:
    settings = AnswerSettings(_SEED, temperature=0., mode=mode)
    described: Description = model.describe(
        scene.rgb, scene.action, settings, _nothing, _nothing)
    picture = model.depict(scene.rgb, described, settings, _nothing, _nothing)
    return picture, len(described.embeddings.token_ids)


class _Peers:
    """
    The public pipelines.

    :param bundle: whose networks they run.
    :param precision: of ``runtime.model.PRECISIONS``.
    :param scene: frame and action.
    :param words: what ours said, for the number of tokens and to be compared.
    """

    def __init__(self, bundle: Bundle, precision: str, scene: Scene, words: Enrichment) -> None:
        self._vllm = PeerVllm(bundle, precision)
        pipeline = bundle.networks(precision).pipeline
        self._drawing = PeerPipeline(pipeline)
        self._rows = bundle.manifest.text_tokens
        self._texts = AnswerText(load_processors(bundle.folder / 'vllm')[0], pipeline.tokenizer,
                                 self._rows)
        self._scene, self._words = scene, words
        self._must_agree = precision == 'float32'

    @torch.no_grad()
    def answer(self) -> tuple[np.ndarray, int]:
        """
        Answer the query.

        :returns: (S, S, 3) uint8, and how many tokens were made.
        :raises RuntimeError: the words are others, in float32.
        """
        given = self._vllm.read(self._scene)
        tokens = self._vllm.generate(given, len(self._words.token_ids))
        if self._must_agree and tuple(tokens) != self._words.token_ids:
            raise RuntimeError('generate finds other words')
        states = self._vllm.states(given, tokens)
        text_embeds = fit_rows(states[None], self._rows)[0]
        whole = self._words.stop != 'conditioning_full'
        text = (self._texts.whole if whole else self._texts.settled)(tokens)
        words = Enrichment(
            text or self._scene.action, bool(text), self._words.question, self._vllm.see(given),
            text_embeds, min(len(tokens), self._rows), tuple(tokens), self._words.stop)
        return self._drawing.draw(self._scene.rgb, words, _SEED), len(tokens)


def _kept(answers: dict[str, tuple[np.ndarray, int]], name: str, way: Answer) -> None:
    answers[name] = way()


def _report(bundle: Bundle, seconds: dict[str, list[float]],
            answers: dict[str, tuple[np.ndarray, int]], words: Enrichment) -> Report:
    pictures = {name: picture for name, (picture, _) in answers.items()}
    near = {name: psnr(picture, pictures[_EAGER]) for name, picture in pictures.items()
            if name != _EAGER}
    exact = [name for name in near if name.startswith('lego_ros') and not name.endswith('fast')]
    for name in exact:
        if 'float32' in name and near[name] < _SAME_DB:
            raise RuntimeError(f'{name} draws another picture: {near[name]:.1f} dB')
    # Rounding may lead to other words; who says fewer is not faster.
    best = fastest(seconds, [name for name in exact
                             if answers[name][1] == len(words.token_ids)])
    best32 = fastest(seconds, [name for name in exact if 'float32' in name])
    conditions = {
        'weights': bundle.weights, 'steps': AnswerSettings(_SEED).steps,
        'tokens of the answer': ', '.join(
            f'{name}: {count}' for name, (_, count) in answers.items()),
        'end of the answer': words.stop,
        'threads of PyTorch': torch.get_num_threads(), 'best backends': f'{best}; {best32}',
        'PSNR to the picture of the eager float32 peers [dB]': ', '.join(
            f'{name}: {decibels:.1f}' for name, decibels in near.items())}
    if not bundle.manifest.trained:
        conditions['likeness'] = 'of an untrained UNet, which says little'
    return Report(
        'query', conditions,
        [Figure(name, 's', samples) for name, samples in seconds.items()],
        [Target('exact, eager float32 peers to our best', 'times', _LEAST_EXACT,
                ratio(seconds[_EAGER], seconds[best]), least=True),
         Target('exact, eager float32 peers to our best float32', 'times', _LEAST_EXACT,
                ratio(seconds[_EAGER], seconds[best32]), least=True),
         Target('fast, eager float32 peers to our best', 'times', _LEAST_FAST,
                ratio(seconds[_EAGER], seconds[f'{best}, fast']), least=True)])


def _nothing(*_: object) -> None:
    """Stand in for a callback."""
