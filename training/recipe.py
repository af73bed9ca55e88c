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

"""A recipe: a YAML file with a section for each stage, from data to bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.ldm.view import View
from lego_ros.training.data.files import unusable
from lego_ros.training.enrichment.settings import EnrichSettings
from lego_ros.training.foundations.stages import FoundationSettings
from lego_ros.training.ldm.settings import LdmSettings
from lego_ros.training.ldm.variants import VARIANTS
from lego_ros.training.vllm.settings import ProgramSettings, TuneSettings
from pydantic import BaseModel, ConfigDict, Field, model_validator, ValidationError
import yaml

FOLDER = Path(__file__).parent / 'recipes'
"""The recipes that come with the package."""
_LONGEST = 1 << 20


class _Section(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)


class KitchenSettings(_Section):
    """Which part of the simulated kitchen is trained on."""

    episodes: Annotated[int, Field(gt=0)]
    """Each has 1 to 6 actions."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the first episode."""
    size: Annotated[int, Field(ge=64)] = 256
    """Side of the pictures [px]."""


class BundleSettings(_Section):
    """What the finished bundle is, and how it wants to be run."""

    name: str
    license: str = 'Apache-2.0'  # noqa: A003 - what bundle.yaml calls it
    training_data: str
    """In a sentence."""
    note: str = ''
    """What the model card is to say besides, in whole sentences."""
    dtype: Literal['float16', 'bfloat16', 'float32'] = 'float16'
    view: View | None = None
    """The part of a camera's frame that is used; null = that of the trainings. Of square pictures
    all parts are one, and a camera's frames are seldom square."""
    steps: Annotated[int, Field(gt=0)] = 100
    image_scale: Annotated[float, Field(ge=0)] = 1.5
    text_scale: Annotated[float, Field(ge=0)] = 7.5


class Recipe(_Section):
    """All stages."""

    kitchen: KitchenSettings | None = None
    """The data to make; null = a prepared and curated dataset is given."""
    foundations: FoundationSettings | None = None
    """Networks to train from nothing; null = a VLLM and a diffusion pipeline are given."""
    tune: TuneSettings = TuneSettings()
    enrichment: EnrichSettings = EnrichSettings()
    ldm: LdmSettings = LdmSettings()
    programs: ProgramSettings | None = None
    """null = the VLLM writes programs as it is."""
    bundle: BundleSettings

    @model_validator(mode='after')
    def _fits_together(self) -> Recipe:
        """Find out at once what would end a later stage, hours from now."""
        if self.ldm.start is not None:
            raise ValueError('ldm.start: --ldm names the pipeline to begin with; leave it out')
        programs = self.programs or self.tune
        if len({self.tune.view, self.enrichment.view, self.ldm.view, programs.view}) > 1:
            raise ValueError('tune.view, enrichment.view, ldm.view and programs.view must be the '
                             'same')
        if self.programs is not None and self.kitchen is None:
            raise ValueError("programs: only the kitchen's data tell theirs; leave it out")
        enriched = VARIANTS[self.ldm.variant].enriched
        if enriched and self.ldm.flip and not self.enrichment.flipped:
            raise ValueError('ldm.flip needs mirrored frames to be described: set '
                             'enrichment.flipped to true, or ldm.flip to false')
        return self


def read_recipe(name: str) -> Recipe:
    """
    Read a recipe.

    :param name: of one that comes with the package, or the path of a YAML file.
    :returns: the recipe, checked.
    :raises LegoError: SOURCE_UNREADABLE: there is none, or it is no YAML; INVALID_SETTING: a value
        is out of range or a key unknown; the message names it.
    """
    path = Path(name) if name.endswith(('.yaml', '.yml')) else FOLDER / f'{name}.yaml'
    if not path.is_file():
        known = ', '.join(sorted(file.stem for file in FOLDER.glob('*.yaml')))
        raise unusable(name, f'there is no such recipe; there are {known}, or give the path of a '
                       'YAML file')
    if path.stat().st_size > _LONGEST:
        raise unusable(path, f'a recipe has at most {_LONGEST} bytes')
    try:
        content = yaml.safe_load(path.read_text(encoding='utf-8'))
        return Recipe.model_validate(content)
    except (OSError, yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise unusable(path, f'it cannot be read as YAML: {error}') from error
    except LegoError as error:
        raise LegoError(error.code, f"recipe '{path}': {error.message}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = '.'.join(str(part) for part in first['loc']) or 'the whole'
        raise LegoError(
            ErrorCode.INVALID_SETTING, f"recipe '{path}': {where}: {first['msg']}") from error
