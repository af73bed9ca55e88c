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

"""Which scorers a preparation uses: names of files that every process opens for itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.data.scorers import FrameQuality, GistCosine, ImageEmbedder, Sharpness


@dataclass(frozen=True)
class ScorerChoice:
    """
    What chooses the frames and what compares the pictures.

    :param clip: folder of a CLIP model; None = ``gist_cosine``.
    :param aesthetic: LAION's predictor, which needs the CLIP model; None = ``sharpness``.
    :param device: of torch, for these two.
    :raises LegoError: INVALID_SETTING, a predictor without a CLIP model.
    """

    clip: Path | None = None
    aesthetic: Path | None = None
    device: str = 'cpu'

    def __post_init__(self) -> None:
        if self.aesthetic is not None and self.clip is None:
            raise LegoError(
                ErrorCode.INVALID_SETTING,
                'the aesthetic predictor scores CLIP embeddings; name the CLIP model '
                '(openai/clip-vit-large-patch14) too')

    def open(self) -> tuple[FrameQuality, ImageEmbedder]:
        """
        Load them.

        :returns: the two scorers.
        :raises LegoError: SOURCE_UNREADABLE or INVALID_SETTING, see ``clip_scorers``.
        """
        if self.clip is None:
            return Sharpness(), GistCosine()
        # Not above: torch and transformers take seconds to import.
        from lego_ros.training.data.clip_scorers import AestheticPredictor, ClipEmbedder

        embedder = ClipEmbedder(self.clip, self.device)
        if self.aesthetic is None:
            return Sharpness(), embedder
        return AestheticPredictor(self.aesthetic, embedder), embedder
