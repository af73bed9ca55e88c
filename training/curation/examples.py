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

"""The worked examples that a language model learns from in context: twelve for each dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.training.curation.queries import NamedBox, Query
from lego_ros.training.data.files import unusable
from lego_ros.training.data.records import first_fault
from pydantic import BaseModel, ConfigDict, Field, field_validator, ValidationError
import yaml

COUNT = 12
"""The paper's number (Sec. 3.1, supplement F.1)."""
_FOLDER = Path(__file__).parent / 'examples'
_MAX_FILE = 1 << 20
Unit = Annotated[float, Field(ge=0.0, le=1.0)]
Words = Annotated[str, Field(min_length=1, max_length=500)]


class _Model(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)


class ExampleBox(_Model):
    """A box of an example; see :class:`NamedBox`."""

    name: Words
    box: tuple[Unit, Unit, Unit, Unit]

    @field_validator('box')
    @classmethod
    def _has_area(cls, box: tuple[float, float, float, float]
                  ) -> tuple[float, float, float, float]:
        if box[2] <= box[0] or box[3] <= box[1]:
            raise ValueError(f'{box} is no box: x1, y1, x2, y2 with x1 < x2 and y1 < y2')
        return box

    @property
    def named(self) -> NamedBox:
        """Give the box the form that queries have."""
        return NamedBox(self.name, self.box)


class Example(_Model):
    """A query and the description that is wanted for it."""

    label: Words
    before: tuple[ExampleBox, ...] = ()
    after: tuple[ExampleBox, ...] = Field(min_length=1)
    description: Words

    @property
    def query(self) -> Query:
        """Return what a language model would be told."""
        return Query(self.label, tuple(box.named for box in self.before),
                     tuple(box.named for box in self.after))


class _ExampleFile(_Model):
    dataset: Words
    examples: tuple[Example, ...] = Field(min_length=COUNT, max_length=COUNT)


def shipped_datasets() -> list[str]:
    """
    List the datasets that this package has examples for.

    :returns: their names, sorted.
    """
    return sorted(path.stem for path in _FOLDER.glob('*.yaml'))


def load_examples(source: str) -> tuple[Example, ...]:
    """
    Load twelve examples.

    :param source: a dataset of :func:`shipped_datasets`, or the path of a file of the same form.
    :returns: the examples in the file's order.
    :raises LegoError: INVALID_SETTING: there are none for this dataset; SOURCE_UNREADABLE: the
        file cannot be read, or is wrong; the place is named.
    """
    shipped = source in shipped_datasets()
    path = _FOLDER / f'{source}.yaml' if shipped else Path(source)
    if path.suffix not in ('.yaml', '.yml'):
        raise LegoError(
            ErrorCode.INVALID_SETTING,
            f'there are no examples for {source!r}, only for {", ".join(shipped_datasets())}; '
            'name one of these, or a YAML file with your own')
    try:
        with open(path, 'rb') as file:
            content = file.read(_MAX_FILE + 1)
    except OSError as error:
        raise unusable(path, f'the examples cannot be read: {error}') from error
    return _parse(source, content)


def _parse(source: str, content: bytes) -> tuple[Example, ...]:
    if len(content) > _MAX_FILE:
        raise unusable(source, f'larger than {_MAX_FILE} bytes; it is not read')
    try:
        return _ExampleFile.model_validate(yaml.safe_load(content)).examples
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise unusable(source, f'it is no YAML: {error}') from error
    except ValidationError as error:
        raise unusable(source, first_fault(error)) from error
