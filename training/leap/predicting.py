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

"""What a trained network says of a split, kept in a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import io
import json
from pathlib import Path
from zipfile import BadZipFile
import zlib

from lego_ros.files import write_whole
from lego_ros.leap.network import LeapNetwork
from lego_ros.training.data.files import unusable
from lego_ros.training.leap.data import LeapCollate, LeapSamples
from lego_ros.training.leap.metrics import StepClasses
from lego_ros.training.leap.settings import LeapSettings
from lego_ros.training.leap.train import batches, LeapObjective
from lego_ros.training.run.loop import Interrupted
from lego_ros.training.run.samples import to_device
import numpy as np
import torch
from tqdm import tqdm

_BATCH = 16
_ARRAYS = ('verb', 'noun', 'action', 'steps', 'true_steps', 'known')


@dataclass(frozen=True)
class Predictions:
    """
    Scores of N clips, in the order of their split.

    :param ids: of the clips.
    :param verb: (N, V) logits.
    :param noun: (N, M) logits.
    :param action: (N, A) logits, of the network's own pairs.
    :param steps: (3, N, S) int: sub-verb, object A and object B of the newest clip's program.
    :param true_steps: (3, N, S) int, likewise; negative: the network does not know it.
    :param known: (N,) bool: whether there is a true program.
    """

    ids: tuple[str, ...]
    verb: np.ndarray
    noun: np.ndarray
    action: np.ndarray
    steps: np.ndarray
    true_steps: np.ndarray
    known: np.ndarray

    @property
    def predicted(self) -> StepClasses:
        """Give the predicted programs."""
        return StepClasses(*self.steps)

    @property
    def truth(self) -> StepClasses:
        """Give the true programs."""
        return StepClasses(*self.true_steps)


@torch.no_grad()
def predict(network: LeapNetwork, samples: LeapSamples, settings: LeapSettings, what: str,
            stop: Callable[[], bool] = lambda: False) -> Predictions:
    """
    Let a network look at a split.

    :param network: trained.
    :param samples: of the split.
    :param settings: that it was trained with.
    :param what: for the progress bar.
    :param stop: asked after each batch.
    :returns: what it says.
    :raises Interrupted: ``stop`` said so.
    :raises LegoError: SOURCE_UNREADABLE, frames are missing or damaged.
    """
    objective = LeapObjective(network, settings).eval()
    device = next(network.parameters()).device
    collate = LeapCollate(network.classes, settings.network.max_steps)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in _ARRAYS}
    with tqdm(total=len(samples), desc=what, unit='clip', dynamic_ncols=True) as bar:
        for batch in batches(samples, collate, _BATCH):
            here = to_device(batch, device)
            with torch.autocast(device.type, torch.bfloat16, settings.precision == 'bf16'):
                output = objective.predict(here['frames'], here['present'])
            many, clips = batch['present'].shape
            for name in ('verb', 'noun', 'action'):
                parts[name].append(getattr(output, name).float().cpu().numpy())
            # Of a sample's clips the newest is the last.
            said = [each.argmax(-1)[clips - 1::clips] for each in output.program[:3]]
            parts['steps'].append(torch.stack(said).cpu().numpy())
            true = [each[clips - 1::clips] for each in batch['targets'][3:6]]
            parts['true_steps'].append(torch.stack(true).numpy())
            parts['known'].append((batch['targets'][6][clips - 1::clips] > 0).numpy())
            bar.update(many)
            if stop() and bar.n < len(samples):
                raise Interrupted(int(bar.n))
    joined = {name: np.concatenate(found, 1 if 'steps' in name else 0)
              for name, found in parts.items()}
    return Predictions(tuple(clip.clip_id for clip in samples.records), **joined)


def write_predictions(path: Path, predictions: Predictions, identity: str) -> None:
    """
    Keep predictions.

    :param path: of the file.
    :param predictions: to keep.
    :param identity: of the network and the clips.
    :raises OSError: it cannot be written.
    """
    content = io.BytesIO()
    np.savez_compressed(
        content, meta=np.array(json.dumps({'identity': identity, 'ids': predictions.ids})),
        **{name: getattr(predictions, name) for name in _ARRAYS})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content.getvalue())


def read_predictions(path: Path, identity: str) -> Predictions | None:
    """
    Read predictions that were kept.

    :param path: of the file.
    :param identity: of the network and the clips.
    :returns: them; None where there are none of these.
    :raises LegoError: SOURCE_UNREADABLE, the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as found:
            meta = json.loads(str(found['meta']))
            if meta['identity'] != identity:
                return None
            return Predictions(tuple(meta['ids']), **{name: found[name] for name in _ARRAYS})
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise unusable(path, f'it cannot be read ({error}); remove it') from error
