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

"""The scorers that the paper uses, from weights on this machine: CLIP and LAION's predictor."""

from __future__ import annotations

from collections.abc import Sequence
import json
from pathlib import Path
import pickle

from lego_ros.errors import ErrorCode, LegoError, telling
from lego_ros.files import sha256_of
from lego_ros.training.data.files import unusable
import numpy as np
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
import torch

PREDICTOR_FILE = 'sac+logos+ava1-l14-linearMSE.pth'
"""The file's name in christophschuhmann/improved-aesthetic-predictor; about 3.7 MB."""
SIMILARITY_FILE = 'similarity.json'
"""``{"lowest": ..., "highest": ...}``: the filter's bounds for a model of one's own."""


class ClipEmbedder:
    """
    Image embeddings of any CLIP model of transformers.

    :param folder: of the model: config.json, model.safetensors, preprocessor_config.json.
    :param device: of torch.
    :raises LegoError: SOURCE_UNREADABLE, naming the folder and what it lacks.
    """

    bounds = (0.81, 0.97)
    """Of LEGO, supplement A, for OpenAI's CLIP; see SIMILARITY_FILE."""

    def __init__(self, folder: Path, device: str = 'cpu') -> None:
        from transformers import CLIPImageProcessorPil, CLIPModel, CLIPVisionModelWithProjection

        for name in ('config.json', 'model.safetensors', 'preprocessor_config.json'):
            if not (folder / name).is_file():
                raise unusable(
                    folder, f'no CLIP model: {name} is not there. Save one with '
                    'save_pretrained (openai/clip-vit-large-patch14: 1.7 GB) and name its folder')
        with telling(ErrorCode.SOURCE_UNREADABLE,
                     f"'{folder}': the CLIP model cannot be loaded"):
            self._processor = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
            kind = CLIPModel if self._is_whole(folder) else CLIPVisionModelWithProjection
            model, report = kind.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True)
        if report['missing_keys']:
            # transformers would go on with random numbers in their place.
            raise unusable(
                folder, f'model.safetensors lacks {", ".join(sorted(report["missing_keys"])[:3])}')
        self._model = model.to(device).eval()
        self._device = device
        self.bounds = _own_bounds(folder / SIMILARITY_FILE) or self.bounds
        self.name = f'clip_cosine:{folder.resolve().name}:' + sha256_of(
            folder / 'model.safetensors')[:12]
        self.size: int = self._model.config.projection_dim

    @staticmethod
    def _is_whole(folder: Path) -> bool:
        """Tell a model with its text encoder from a vision model alone."""
        return json.loads((folder / 'config.json').read_text()).get('model_type') == 'clip'

    @torch.inference_mode()
    def embed(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """
        Embed pictures.

        :param pictures: (H, W, 3) uint8 RGB each.
        :returns: (n, d) float32, each row of length 1.
        """
        pixels = self._processor(
            images=[Image.fromarray(picture) for picture in pictures],
            return_tensors='pt')['pixel_values'].to(self._device)
        embeds = (self._model.get_image_features(pixel_values=pixels).pooler_output
                  if hasattr(self._model, 'text_model')
                  else self._model(pixel_values=pixels).image_embeds)
        return torch.nn.functional.normalize(embeds.float(), dim=-1).cpu().numpy()


def _own_bounds(path: Path) -> tuple[float, float] | None:
    """Read the filter's bounds that come with a model; None = it brings none."""
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding='utf-8'))
        lowest, highest = float(values['lowest']), float(values['highest'])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise unusable(path, f'these are no bounds of cosines: {error}') from error
    if not -1 <= lowest < highest <= 1:
        raise unusable(path, f'{lowest} to {highest} are no bounds of cosines')
    return lowest, highest


class AestheticPredictor:
    """
    LAION's aesthetic predictor: linear layers upon unit CLIP ViT-L/14 embeddings.

    :param path: of the weights: ``.safetensors``, or the released ``.pth``, which is loaded with
        ``weights_only`` so that it cannot run code.
    :param embedder: the CLIP model that the weights were trained upon.
    :raises LegoError: SOURCE_UNREADABLE: not there, or no such weights; INVALID_SETTING: they are
        of another CLIP model's size.
    """

    def __init__(self, path: Path, embedder: ClipEmbedder) -> None:
        layers = _linear_layers(path, _load(path))
        if layers[0].in_features != embedder.size:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                f"'{path}' takes embeddings of {layers[0].in_features} numbers, the CLIP model "
                f'gives {embedder.size}; use openai/clip-vit-large-patch14')
        # No activation stands between them, and dropout does nothing here.
        self._head = torch.nn.Sequential(*layers).eval()
        self._embedder = embedder
        self.name = f'aesthetic:{path.name}:{sha256_of(path)[:12]}'

    @torch.inference_mode()
    def scores(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """
        Score pictures.

        :param pictures: (H, W, 3) uint8 RGB each.
        :returns: (n,) float64; the released weights give about 1..10.
        """
        embeds = torch.from_numpy(self._embedder.embed(pictures))
        return self._head(embeds).double().squeeze(-1).numpy()


def _load(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise unusable(path, f'no aesthetic predictor there; expected {PREDICTOR_FILE} (about '
                       '3.7 MB, christophschuhmann/improved-aesthetic-predictor)')
    try:
        if path.suffix == '.safetensors':
            return load_file(path)
        state = torch.load(path, map_location='cpu', weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, SafetensorError,
            pickle.UnpicklingError) as error:
        raise unusable(path, f'the aesthetic predictor cannot be loaded: {error}') from error
    if not isinstance(state, dict) or not all(
            isinstance(value, torch.Tensor) for value in state.values()):
        raise unusable(path, 'it holds no table of weights')
    return state


def _linear_layers(path: Path, state: dict[str, torch.Tensor]) -> list[torch.nn.Linear]:
    """Chain the layers ``layers.<n>.weight`` and ``.bias`` in the order of n."""
    layers: list[torch.nn.Linear] = []
    try:
        numbers = sorted({int(name.split('.')[1]) for name in state})
        for number in numbers:
            weight = state[f'layers.{number}.weight'].float()
            bias = state[f'layers.{number}.bias'].float()
            if bias.shape != weight.shape[:1] or weight.ndim != 2:
                raise ValueError(f'layer {number} has weights of {tuple(weight.shape)}')
            layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
            layer.weight = torch.nn.Parameter(weight, requires_grad=False)
            layer.bias = torch.nn.Parameter(bias, requires_grad=False)
            if layers and layers[-1].out_features != layer.in_features:
                raise ValueError(f'layer {number} does not fit the one before it')
            layers.append(layer)
        if not layers or layers[-1].out_features != 1:
            raise ValueError('the last layer does not give one number')
    except (ValueError, IndexError, KeyError) as error:
        raise unusable(path, f'these are no weights of the aesthetic predictor: {error}'
                       ) from error
    return layers
