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
Weights of others for the backbone: the authors' UniFormerV2, or CLIP's image tower.

Both are matched by name. Nothing is renamed but prefixes, nothing is left at random silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
import pickle

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.leap.uniformerv2 import UniFormerV2
from safetensors import SafetensorError
from safetensors.torch import load_file
import torch

_WRAPPERS = ('model_state', 'state_dict', 'model')
_PREFIXES = ('module.', 'backbone.')
_IMAGE_TOWER = 'visual.'
# The authors' classifier; LEAP's heads take its place.
_HEAD = ('transformer.proj.2.',)
# CLIP's last norm and projection, which UniFormerV2 does not have.
_CLIP_HEAD = ('ln_post.', 'proj')
# What UniFormerV2 adds to the ViT, by what stands in the names.
_ADDED = ('.lmhra1.', '.lmhra2.', '.dpe.', '.dec.', 'transformer.proj.', 'temporal_cls_token',
          'transformer.balance')
_SHOWN = 5


@dataclass(frozen=True)
class OfficialWeights:
    """
    What was done with a file of weights.

    :param loaded: names in the network, in its order.
    :param fresh: names in the network that the file does not have by design: of CLIP's weights,
        what UniFormerV2 adds. They keep the values with which it gives nothing at first.
    :param dropped: names in the file, without prefixes, that the network has no use for.
    """

    loaded: tuple[str, ...]
    fresh: tuple[str, ...]
    dropped: tuple[str, ...]


def load_official(backbone: UniFormerV2, path: Path) -> OfficialWeights:
    """
    Load weights of others into a backbone.

    CLIP's patch embedding is of one frame. As in the authors' code it becomes the middle one of
    three frames' where patches span three, and the others are 0, so that the network begins as
    CLIP's on each.

    :param backbone: gets the weights; left as it is where they do not fit.
    :param path: of ``.safetensors``, or of torch's file of a state dict (``.pth``, ``.pyth``,
        ``.pt``, ``.bin``), which is read by torch's restricted unpickler.
    :returns: what was loaded and what was not.
    :raises LegoError: SOURCE_UNREADABLE, the file is missing, damaged or no state dict, or its
        names or sizes are not those of the backbone: which are missing, which are too many, and
        which differ.
    """
    given = _without_prefixes(_read(path))
    own = backbone.state_dict()
    video = any(name.startswith('transformer.dec.') for name in given)
    head = _HEAD if video else _CLIP_HEAD
    dropped = tuple(name for name in given if name not in own and name.startswith(head))
    wanted = {name for name in own
              if (video or not any(part in name for part in _ADDED))
              and not name.endswith('num_batches_tracked')}
    found = {name: _inflated(tensor, own.get(name)) for name, tensor in given.items()
             if name not in dropped}
    _require_match(path, found, own, wanted)
    backbone.load_state_dict(found, strict=False)
    return OfficialWeights(tuple(name for name in own if name in found),
                           tuple(name for name in own if name not in found), dropped)


def _read(path: Path) -> dict[str, torch.Tensor]:
    try:
        content = load_file(path) if path.suffix == '.safetensors' else torch.load(
            path, map_location='cpu', weights_only=True)
    except (OSError, EOFError, RuntimeError, SafetensorError, ValueError,
            pickle.UnpicklingError) as error:
        raise _unusable(path, f'{error}') from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
            break
    if not isinstance(content, Mapping) or not content or not all(
            isinstance(name, str) and isinstance(tensor, torch.Tensor)
            for name, tensor in content.items()):
        raise _unusable(path, 'it holds no state dict: names and tensors, itself or under '
                              f'{" or ".join(_WRAPPERS)}')
    return dict(content)


def _without_prefixes(given: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Leave out what wraps the names of the backbone, and of CLIP all but the image tower."""
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in given):
            given = {name[len(prefix):]: tensor for name, tensor in given.items()}
    if any(name.startswith(_IMAGE_TOWER) for name in given):
        return {name[len(_IMAGE_TOWER):]: tensor for name, tensor in given.items()
                if name.startswith(_IMAGE_TOWER)}
    return dict(given)


def _inflated(tensor: torch.Tensor, own: torch.Tensor | None) -> torch.Tensor:
    """Put the patch embedding of one frame into the middle of one of several."""
    if own is None or own.ndim != 5 or tensor.ndim != 4 \
            or tensor.shape != (*own.shape[:2], *own.shape[3:]):
        return tensor
    inflated = tensor.new_zeros(own.shape)
    inflated[:, :, own.shape[2] // 2] = tensor
    return inflated


def _require_match(path: Path, found: Mapping[str, torch.Tensor],
                   own: Mapping[str, torch.Tensor], wanted: set[str]) -> None:
    differing = [f'{name} {tuple(tensor.shape)} instead of {tuple(own[name].shape)}'
                 for name, tensor in found.items()
                 if name in own and tensor.shape != own[name].shape]
    problems = [f'{kind}: {_listed(names)}' for kind, names in (
        ('missing', [name for name in own if name in wanted and name not in found]),
        ('unknown', [name for name in found if name not in own]),
        ('of another size', differing)) if names]
    if problems:
        raise _unusable(path, 'its weights are not those of this backbone; '
                              f"{'; '.join(problems)}. Set the backbone's sizes to the file's")
    bad = [name for name, tensor in found.items()
           if tensor.is_floating_point() and not tensor.isfinite().all()]
    if bad:
        raise _unusable(path, f'not finite: {_listed(bad)}')


def _listed(names: list[str]) -> str:
    more = f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
    return ', '.join(names[:_SHOWN]) + more


def _unusable(path: Path, what: str) -> LegoError:
    return LegoError(ErrorCode.SOURCE_UNREADABLE, f"the weights '{path}' cannot be used: {what}")
