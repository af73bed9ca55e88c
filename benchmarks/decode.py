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
A token of the VLLM's answer on the CPU, against transformers' ``generate``.

All answer the same question about the same frame with the same weights, turn by turn, and must
find the same tokens. The prompt's share is taken off: an answer of one token is timed too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
import time
from typing import Any

from benchmarks.kitchen import (
    at_most,
    BACKENDS,
    Bundle,
    fastest,
    interleaved,
    kitchen_bundle,
    ratio,
    Scene,
    scenes,
)
from benchmarks.peers import PeerVllm
from benchmarks.report import Figure, Report, Target
from benchmarks.roofline import memory_bandwidth
from lego_ros.runtime.timings import percentile
from lego_ros.vllm.decoding import decode, DecodeSettings
from lego_ros.vllm.engine_language import engine_vllm
from lego_ros.vllm.language import LanguageModel, TransformersLanguage
import torch
from torch import Tensor

_EAGER, _EAGER_BF16 = 'transformers, eager float32', 'transformers, eager bfloat16'
_COMPILED = 'transformers, static cache, torch.compile float32'
_COMPILE_WITHIN = 360
_LEAST = 3.0
# Of memory that the step's weights are compared with: as large, so that it is cached as well.
_SMALLEST = 1 << 24

Answer = Callable[[int], Sequence[int]]


def run(out: Path, rounds: int = 7, tokens: int = 64) -> Report:
    """
    Run the benchmark.

    :param out: not used.
    :param rounds: how often each way answers.
    :param tokens: of an answer; some sixty, as a description has.
    :returns: what was found.
    :raises RuntimeError: ours finds other tokens.
    """
    bundle = kitchen_bundle()
    scene = scenes(1, bundle.manifest.resolution)[0]
    peers, compiling = _peers(bundle, scene, tokens)
    eager = PeerVllm(bundle)
    given = eager.read(scene)
    prompt = _prompt(eager, given)
    ways: dict[str, Answer] = dict(peers)
    for backend, precision in BACKENDS:
        language = engine_vllm(bundle.engines(backend, precision)).language
        ways[f'lego_ros, {backend} {precision}'] = partial(_ours, language, prompt)
    answers = {name: list(way(tokens)) for name, way in ways.items()}
    same = _compare(answers)
    seconds = interleaved({f'{name} {count}': partial(way, count)
                           for name, way in ways.items() for count in (tokens, 1)}, rounds)
    per_token = {
        name: [(whole - first) / (tokens - 1) for whole, first in zip(
            seconds[f'{name} {tokens}'], seconds[f'{name} 1'], strict=True)] for name in ways}
    weights = _weights(eager)
    conditions = {
        'weights': bundle.weights, 'tokens of the answer': tokens,
        'tokens of the prompt': prompt.shape[1], 'threads of PyTorch': torch.get_num_threads(),
        'compilation of the peer': compiling,
        'the same tokens as eager float32, from the first': same,
        **_share(weights, per_token)}
    return _report(conditions, per_token, seconds, tokens)


def _peers(bundle: Bundle, scene: Scene, tokens: int) -> tuple[dict[str, Answer], str]:
    """Make the peers, and tell how long the compilation took."""
    def answering(peer: PeerVllm) -> Answer:
        return partial(peer.generate, peer.read(scene))

    peers = {_EAGER: answering(PeerVllm(bundle)),
             _EAGER_BF16: answering(PeerVllm(bundle, 'bfloat16'))}
    compiled = answering(PeerVllm(bundle, compiled=True))
    begin = time.perf_counter()
    try:
        with at_most(_COMPILE_WITHIN):
            for count in (tokens, 1):
                compiled(count)
    except TimeoutError as error:
        return peers, f'left out: {error}'
    return ({**peers, _COMPILED: compiled},
            f'{time.perf_counter() - begin:.0f} s, not counted')


@torch.no_grad()
def _prompt(peer: PeerVllm, given: dict[str, Tensor]) -> Tensor:
    """Make the prompt's embeddings (1, P, hidden), which our decode takes."""
    ids = given['input_ids'][0]
    embeds = TransformersLanguage(peer.model).embed(ids.tolist())
    embeds[ids == peer.model.config.image_token_id] = peer.see(given)
    return embeds[None]


def _ours(language: LanguageModel, prompt: Tensor, tokens: int) -> Sequence[int]:
    settings = DecodeSettings(temperature=0., max_new_tokens=tokens)
    return decode(language, prompt, None, settings).token_ids


def _compare(answers: dict[str, list[int]]) -> str:
    """Tell how many tokens are the same from the first; in float32 all must be."""
    wanted = answers[_EAGER]
    told = []
    for name, found in answers.items():
        agreeing = [one == other for one, other in zip(found, wanted, strict=True)]
        count = [*agreeing, False].index(False)
        if 'float32' in name and count < len(wanted):
            raise RuntimeError(f'{name} finds another token {count}')
        told.append(f'{name}: {count}')
    return ', '.join(told)


def _weights(peer: PeerVllm) -> int:
    """Count the values that a token needs: all of the language model's but the words' table."""
    language = peer.model.model.language_model
    table = language.embed_tokens.weight.numel()
    return sum(weight.numel() for weight in language.parameters()) - table + sum(
        weight.numel() for weight in peer.model.lm_head.parameters())


def _share(weights: int, per_token: dict[str, list[float]]) -> dict[str, Any]:
    """Hold the weights that a token reads against what memory gives."""
    far, near = memory_bandwidth(), memory_bandwidth(max(4 * weights, _SMALLEST))
    shares = {
        name: weights * (2 if 'bfloat16' in name else 4) / percentile(samples, 50)
        for name, samples in per_token.items()}
    return {
        'weights of a token [MB]': f'{4 * weights / 1e6:.1f} in float32; what fits into the caches'
                                   ' is read faster than memory',
        'memory, reading 1 GiB [GB/s]': far / 1e9,
        'memory, reading as much as the weights [GB/s]': near / 1e9,
        'share of the latter [%]': ', '.join(
            f'{name}: {100 * rate / near:.0f}' for name, rate in shares.items())}


def _report(conditions: dict[str, Any], per_token: dict[str, list[float]],
            seconds: dict[str, list[float]], tokens: int) -> Report:
    ours = [name for name in per_token if name.startswith('lego_ros')]
    best32 = fastest(per_token, [name for name in ours if 'float32' in name])
    best16 = fastest(per_token, [name for name in ours if 'bfloat16' in name])
    targets = [
        Target('eager float32 generate to our best float32, per token', 'times', _LEAST,
               ratio(per_token[_EAGER], per_token[best32]), least=True),
        Target('eager bfloat16 generate to our best bfloat16, per token', 'times', _LEAST,
               ratio(per_token[_EAGER_BF16], per_token[best16]), least=True)]
    if _COMPILED in per_token:
        conditions['ratio to the compiled peer, float32'] = ratio(
            per_token[_COMPILED], per_token[best32])
    return Report(
        'decode', {**conditions, 'best backends': f'{best32}; {best16}'},
        [*(Figure(f'a token, {name}', 'ms', [1e3 * each for each in samples])
           for name, samples in per_token.items()),
         *(Figure(f'prompt and first token, {name}', 'ms',
                  [1e3 * each for each in seconds[f'{name} 1']]) for name in per_token)],
        targets)
