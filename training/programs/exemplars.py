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

"""The worked examples that a language model learns the language from: our own, a file each."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from lego_ros.errors import LegoError
from lego_ros.programs.checking import check
from lego_ros.programs.parsing import parse
from lego_ros.programs.printing import to_text
from lego_ros.training.data.files import unusable
from lego_ros.training.data.records import first_fault
from lego_ros.training.descriptors.clip import Descriptors, Part, Span
from lego_ros.training.descriptors.rendering import PARTS
from pydantic import BaseModel, ConfigDict, Field, ValidationError
import yaml

_FOLDER = Path(__file__).parent / 'exemplars'
_MAX_FILE = 1 << 16
Seconds = Annotated[float, Field(ge=0.0, le=3600.0)]
Words = Annotated[str, Field(min_length=1, max_length=120)]
Spans = tuple[tuple[Seconds, Seconds, Words], ...]


class Exemplar(BaseModel):
    """A clip's descriptors and the program that is wanted for them."""

    model_config = ConfigDict(extra='forbid', frozen=True, allow_inf_nan=False)

    name: Words
    """Of its file."""
    duration: Annotated[float, Field(gt=0.0, le=3600.0)]
    """Of the clip in seconds."""
    narrations: Annotated[Spans, Field(min_length=1)]
    """Start, end and text; the clip's own action first."""
    audio: Spans | None = None
    camera: Spans | None = None
    objects: Spans | None = None
    contact: Spans | None = None
    program: str
    """In the text form, as ``printing.to_text`` writes it."""

    @property
    def descriptors(self) -> Descriptors:
        """Give what a language model would be told of the clip."""
        parts: dict[str, Any] = {}
        for name in PARTS:
            spans = getattr(self, name)
            if spans is not None:
                parts[name] = Part(tuple(Span(*span) for span in spans))
        return Descriptors(self.duration, **parts)


@lru_cache(maxsize=1)
def load_exemplars() -> tuple[Exemplar, ...]:
    """
    Load the exemplars of this package.

    :returns: the exemplars, by name.
    :raises LegoError: SOURCE_UNREADABLE: one cannot be read, or its program is not sound; the
        place is named.
    """
    found = tuple(_load(path) for path in sorted(_FOLDER.glob('*.yaml')))
    if not found:
        raise unusable(_FOLDER, 'there are no exemplars; install the package again')
    return found


def _load(path: Path) -> Exemplar:
    try:
        with open(path, 'rb') as file:
            content = file.read(_MAX_FILE + 1)
        if len(content) > _MAX_FILE:
            raise unusable(path, f'larger than {_MAX_FILE} bytes; it is not read')
        value = yaml.safe_load(content)
        exemplar = Exemplar.model_validate({'name': path.stem, **(value or {})})
        program = parse(exemplar.program)
    except OSError as error:
        raise unusable(path, f'the exemplar cannot be read: {error}') from error
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:
        raise unusable(path, f'it is no YAML of an exemplar: {error}') from error
    except ValidationError as error:
        raise unusable(path, first_fault(error)) from error
    except LegoError as error:
        raise unusable(path, error.message) from error
    violations = check(program)
    if violations:
        raise unusable(path, f'its program: {violations[0]}')
    return exemplar.model_copy(update={'program': to_text(program)})
