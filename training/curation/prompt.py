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
The prompt: what is given, what is wanted, twelve examples, and the action to be described.

Its structure is that of the paper's supplement F.1; the wording is our own. All that comes before
the last action is the same for a whole run, so that a server can keep it in its prefix cache.
"""

from __future__ import annotations

from collections.abc import Sequence

from lego_ros.training.curation.examples import Example
from lego_ros.training.curation.queries import NamedBox, Query

DECIMALS = 2
"""Of coordinates: a hundredth of the picture is finer than annotators draw."""

SYSTEM = """\
You describe what a person does with their own hands, as seen by a camera on their head.

What you are given
- Action: a verb and nouns.
- Before: boxes in the frame before the action. During: boxes in the frame while it is done. A \
list may be missing.
- A box is a name and four numbers in brackets: [x1, y1, x2, y2]. x1 and y1 are its top left \
corner, x2 and y2 its bottom right one. The origin is the top left of the frame; x grows to the \
right, y grows downwards. All numbers are fractions of the frame's width and height, from 0 to 1.
- Use the boxes to work out which hand acts, and how hands and things lie to each other. "object" \
and "tool" are boxes whose name is not known.

What you write
- One sentence, natural and fluent, in the present tense, about the action as a whole.
- More detail than the action has: say which hand or hands do it, such as "with the left hand" or \
"using both hands", if hands are among the boxes.
- Say where things are or where they move: "on the left", "on the right of", "next to", "from ... \
to ...", "in", "on", "out of", "in front of", "behind", but only where the boxes show it.

What you must not do
- Name no thing and no action that is neither in the action nor among the boxes.
- Name no hand that has no box. Guess nothing.
- Write no coordinates, no list, no heading, no quotation marks, nothing before or after the \
sentence. End it with a full stop.
"""


def format_query(query: Query) -> str:
    """
    Write down what is known of an action.

    :param query: the action.
    :returns: two or three lines, for example ``During: left hand [0.10, 0.20, 0.30, 0.40]``.
    """
    lines = [f'Action: {query.label}']
    lines += [f'{title}: {"; ".join(_format_box(box) for box in boxes)}'
              for title, boxes in (('Before', query.before), ('During', query.after)) if boxes]
    return '\n'.join(lines)


def _format_box(box: NamedBox) -> str:
    return f'{box.name} [{", ".join(f"{value:.{DECIMALS}f}" for value in box.corners)}]'


def format_examples(examples: Sequence[Example]) -> str:
    """
    Write down the examples, numbered.

    :param examples: to learn from.
    :returns: the first part of the user's message.
    """
    parts = ['Examples to learn from:']
    parts += [f'({number}) {format_query(example.query)}\nDescription: {example.description}'
              for number, example in enumerate(examples, start=1)]
    return '\n\n'.join(parts)


def make_messages(examples: Sequence[Example], query: Query) -> list[dict[str, str]]:
    """
    Make the whole prompt.

    The examples and the query are one message: many servers' chat templates refuse two messages
    of the user in a row.

    :param examples: to learn from.
    :param query: the action to describe.
    :returns: messages of the chat completions interface.
    """
    user = (f'{format_examples(examples)}\n\nNow describe this one:\n\n{format_query(query)}\n'
            'Description:')
    return [{'role': 'system', 'content': SYSTEM}, {'role': 'user', 'content': user}]
