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
One predicted program of several clips.

LEAP aggregates the programs of the clips i-2 to i and does not say how; this is ours. What the
network's own action heads make of the clips is another matter: :mod:`lego_ros.leap.fusion`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lego_ros.leap.classes import NONE
from lego_ros.leap.prediction import ProgramPrediction
import torch


def aggregate(predictions: Sequence[ProgramPrediction], halving: float = 1.0
              ) -> ProgramPrediction:
    """
    Chain the predicted programs of clips that follow, or overlap, each other.

    Where the likeliest steps of a clip go on with the last ones of the chain, they are the same
    steps seen twice, and their probabilities are averaged, the newer clip's with more weight. The
    other steps come after. Of a chain longer than S the last S steps are kept.

    A fact holds before the chain if it holds before a clip and no earlier clip gives it::

        pre = 1 - prod over q of (1 - pre_q prod over r < q of (1 - post_r))

    What holds after the chain is what holds after its last clip.

    :param predictions: one of each clip, the oldest first, at least one; each of a batch of B.
    :param halving: clips after which the weight in the average is half.
    :returns: the program of all, of the same shapes, on the CPU.
    """
    clips = [ProgramPrediction._make(each.detach().float().cpu() for each in prediction)
             for prediction in predictions]
    last = clips[-1]
    whole = ProgramPrediction._make(each.clone() for each in last)
    for number in range(len(last.sub_verb)):
        chain: list[_Step] = []
        for age, clip in zip(range(len(clips) - 1, -1, -1), clips, strict=True):
            chain = _chained(chain, _steps(clip, number, 0.5 ** (age / halving)))
        _write(chain, whole, number)
    missing = torch.ones_like(last.pre)
    not_given = torch.ones_like(last.pre)
    for clip in clips:
        missing = missing * (1 - clip.pre * not_given)
        not_given = not_given * (1 - clip.post)
    return whole._replace(pre=1 - missing)


@dataclass(frozen=True)
class _Step:
    """Probabilities of a step's sub-verb and objects, and how much they count."""

    parts: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    weight: float

    @property
    def words(self) -> tuple[int, ...]:
        return tuple(int(part.argmax()) for part in self.parts)

    def with_other(self, other: _Step) -> _Step:
        weight = self.weight + other.weight
        first, second, third = (
            (self.weight * mine + other.weight * its) / weight
            for mine, its in zip(self.parts, other.parts, strict=True))
        return _Step((first, second, third), weight)


def _steps(clip: ProgramPrediction, number: int, weight: float) -> list[_Step]:
    """List the steps of a clip up to the first that is likeliest none."""
    found = []
    for parts in zip(clip.sub_verb[number], clip.object_a[number], clip.object_b[number],
                     strict=True):
        if int(parts[0].argmax()) == NONE:
            break
        found.append(_Step(parts, weight))
    return found


def _chained(chain: list[_Step], steps: list[_Step]) -> list[_Step]:
    """Add steps to a chain; what both have is there once."""
    known, new = [step.words for step in chain], [step.words for step in steps]
    start, shared = len(known), 0
    for begin in range(len(known)):
        length = min(len(known) - begin, len(new))
        # Of equally long ones the last: it is the nearest in time.
        if length >= max(shared, 1) and known[begin:begin + length] == new[:length]:
            start, shared = begin, length
    merged = [old.with_other(now)
              for old, now in zip(chain[start:start + shared], steps[:shared], strict=True)]
    return [*chain[:start], *merged, *chain[start + shared:], *steps[shared:]]


def _write(chain: list[_Step], whole: ProgramPrediction, number: int) -> None:
    """Put a chain into the tensors of one of the batch; what is left over is none, surely."""
    most = whole.sub_verb.shape[1]
    for place, tensor in enumerate((whole.sub_verb, whole.object_a, whole.object_b)):
        tensor[number] = 0
        tensor[number, :, NONE] = 1
        for row, step in enumerate(chain[-most:]):
            tensor[number, row] = step.parts[place]
