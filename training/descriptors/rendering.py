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

"""The descriptors of a clip as one compact text."""

from __future__ import annotations

from collections.abc import Iterator

from lego_ros.training.descriptors.clip import Descriptors, Part, Span

MAX_SPANS = 24
"""Of one part; how many more there were is said."""
MAX_WORDS = 120
"""Longest text of one span, in characters."""
PARTS = ('narrations', 'audio', 'camera', 'objects', 'contact')
"""In the order of the text, which is that of the paper's five components: ours."""


def render(descriptors: Descriptors) -> str:
    """
    Write down what is known of a clip.

    :param descriptors: of the clip.
    :returns: lines: the clip's length, then for each part that was looked for its name, a note if
        there is one, and its spans with their times in seconds from the clip's beginning. The
        same descriptors give the same text. It is at most some 20 kB long, and every part and
        span has a line of its own, whatever signs the sources hold.
    """
    lines = [f'clip: {descriptors.duration:.1f} s']
    for name in PARTS:
        part: Part | None = getattr(descriptors, name)
        if part is not None:
            lines += _part(name, part)
    return '\n'.join(lines) + '\n'


def _part(name: str, part: Part) -> Iterator[str]:
    note = f' ({_plain(part.note)})' if part.note else ''
    if not part.spans:
        yield f'{name}: none{note}'
        return
    yield f'{name}:{note}'
    for span in part.spans[:MAX_SPANS]:
        yield f'  {_times(span)} {_plain(span.text)}'
    if len(part.spans) > MAX_SPANS:
        yield f'  ... {len(part.spans) - MAX_SPANS} more'


def _times(span: Span) -> str:
    start, end = f'{span.start:.1f}', f'{span.end:.1f}'
    return start if start == end else f'{start}-{end}'


def _plain(text: str) -> str:
    """Make one line of bounded length of a text from elsewhere."""
    plain = ' '.join(''.join(c if c.isprintable() else ' ' for c in text).split())
    return plain if len(plain) <= MAX_WORDS else plain[:MAX_WORDS - 3] + '...'
