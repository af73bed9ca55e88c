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

"""A trained network at work: frames in, names out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lego_ros.leap.aggregation import aggregate
from lego_ros.leap.decoding import decode_program, DecodedProgram
from lego_ros.leap.frames import prepare, sample_indices
from lego_ros.leap.network import LeapNetwork
from lego_ros.leap.prediction import context_of, probabilities, ProgramPrediction
from lego_ros.programs.vocabulary import Vocabulary
import numpy as np
import torch

TOP = 5


@dataclass(frozen=True)
class Scored:
    """A class and its probability, 0 to 1."""

    name: str
    score: float


@dataclass(frozen=True)
class Recognition:
    """
    What the network says of a clip.

    :param verbs: the likeliest five, the likeliest first; of the action that is seen, or of the
        next one, by the network's task.
    :param nouns: likewise.
    :param actions: likewise, verb and noun in words.
    :param program: of the clip and of those before it that were given, in words.
    :param prediction: the clip's own program, a batch of one: ``earlier`` of the clips to come.
    """

    verbs: tuple[Scored, ...]
    nouns: tuple[Scored, ...]
    actions: tuple[Scored, ...]
    program: DecodedProgram
    prediction: ProgramPrediction


class Recogniser:
    """
    Runs a network on clips.

    :param network: its task says what its action heads tell; put in evaluation mode.
    :param device: where it runs.
    :param vocabulary: of its programs; that of the package by default.
    """

    def __init__(self, network: LeapNetwork, device: str = 'cpu',
                 vocabulary: Vocabulary | None = None) -> None:
        self.network = network.eval().to(device)
        self._device = device
        self._vocabulary = vocabulary
        classes = network.classes
        self._names = (classes.verbs, classes.nouns,
                       [classes.action_name(index) for index in range(len(classes.actions))])

    def recognise(self, frames: np.ndarray, earlier: Sequence[ProgramPrediction] = ()
                  ) -> Recognition:
        """
        Tell the action and the program of a clip.

        :param frames: (T, H, W, 3) uint8 RGB, in order, evenly in time; as many as the network
            takes are chosen.
        :param earlier: ``prediction`` of the clips before it, the oldest first. For networks with
            ``aggregated_clips`` the newest of them go into the action heads.
        :returns: names and scores.
        :raises LegoError: SOURCE_UNREADABLE, there are no frames; MALFORMED_IMAGE, the array is
            none of frames.
        """
        backbone = self.network.config.backbone
        chosen = frames[sample_indices(0, len(frames), backbone.frames)]
        with torch.inference_mode():
            clip = prepare(chosen, backbone.resolution)[None].to(self._device)
            context = None
            if earlier and self.network.fusion is not None:
                context = context_of([ProgramPrediction._make(
                    each.to(self._device) for each in one) for one in earlier])
            output = self.network(clip, context)
            own = ProgramPrediction._make(
                each.float().cpu() for each in probabilities(output.program))
            verbs, nouns, actions = (
                _top(logits[0], names) for logits, names in zip(output[:3], self._names,
                                                                strict=True))
        program = decode_program(aggregate([*earlier, own]), self.network.classes,
                                 vocabulary=self._vocabulary)
        return Recognition(verbs, nouns, actions, program, own)


def _top(logits: torch.Tensor, names: Sequence[str]) -> tuple[Scored, ...]:
    scores, indices = logits.float().softmax(-1).topk(min(TOP, len(names)))
    return tuple(Scored(names[index], score) for score, index in zip(
        scores.tolist(), indices.tolist(), strict=True))
