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
The prompt: the language, its words, similar exemplars and the clip; and what is said of mistakes.

The paper does not print its prompt; structure and wording are our own. The system message is the
same for all clips, so that a server can keep it in its prefix cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from lego_ros.programs.tree import listed
from lego_ros.programs.vocabulary import Vocabulary
from lego_ros.training.descriptors.rendering import render
from lego_ros.training.programs.exemplars import Exemplar

Message = dict[str, str]
MOST_COMPLAINTS = 12
"""That are sent back at once: mending the first often mends the others."""
_MAX_COMPLAINT = 300

_LANGUAGE = """\
You turn what was seen and heard in a short first-person video clip into an action program: how \
the action is done, as a chain of small steps of the hands.

What you are given
- The clip's length, then up to five parts: narrations, audio, camera, objects, contact. Times \
are seconds from the clip's beginning. The first narration is the action to write; others only \
go on at the same time. A part that is missing was not looked for. Detectors err: where they \
contradict the narration, the narration is right.

What you write
- One program and nothing else: no explanation, no Markdown.
- It begins with 'objects' and every object that the program names, with commas between them. \
Names are small letters, digits and _; keywords are no names. Hands are not objects.
- 'initially' then states what holds before. What is not stated does not hold. State where things \
are, what is closed, what is held already.
- Then come sub-routines, 'routine name { ... }', if there are any, and the steps.
- A step is verb(object_a, object_b, hand), with the words of the tables below only. The hand is \
left, right, both, or either where it is not known.
- A step may add conditions beyond its verb's own: 'pre ...' and 'post ...'.
- 'if condition { ... } else { ... }', 'while condition { ... }', 'repeat n { ... }' and \
'call name' steer the steps. Conditions are facts with 'not' before them or without, with commas \
between them; '_' stands for anything.

What makes a program right
- All that a step needs is given by 'initially' or by steps before it, on every way through.
- A hand touches and holds one thing at a time, and is near one thing at a time.
- Something in the body of a 'while' makes its condition false.
- Object A and object B of a step differ.
- It tells the narrated action from the hand's first reach to its end, and no other action.
"""


@lru_cache(maxsize=4)
def system_text(vocabulary: Vocabulary) -> str:
    """
    Write what is said of every clip alike.

    :param vocabulary: the words that programs may use.
    :returns: the language, and a table of its predicates and of its sub-verbs.
    """
    lines = [_LANGUAGE, 'Predicates']
    lines += [f'- {name}({", ".join(word.arguments)}): {word.meaning}'
              for name, word in vocabulary.predicates.items()]
    lines += ['', 'Sub-verbs: what they take; what they need; what they give']
    for name, verb in vocabulary.sub_verbs.items():
        objects = [f'[{word[0]}]' if word.endswith('?') else word for word in verb.objects]
        takes = ', '.join([*objects, *(['hand'] if verb.hand else [])])
        lines.append(f'- {name}({takes}): {verb.meaning}; needs {listed(verb.pre) or "nothing"}; '
                     f'gives {listed(verb.post) or "nothing"}')
    return '\n'.join(lines) + '\n'


def first_messages(vocabulary: Vocabulary, exemplars: Sequence[Exemplar], clip: str
                   ) -> list[Message]:
    """
    Ask for the program of a clip.

    Exemplars and query are one message: many chat templates refuse two of the user in a row.

    :param vocabulary: the words that programs may use.
    :param exemplars: to learn from.
    :param clip: its descriptors, see ``rendering.render``.
    :returns: messages of the chat completions interface.
    """
    parts = [f'Example {number}\n{render(exemplar.descriptors)}program:\n{exemplar.program}'
             for number, exemplar in enumerate(exemplars, start=1)]
    parts.append(f'Now write the program of this clip:\n{clip}program:')
    return [{'role': 'system', 'content': system_text(vocabulary)},
            {'role': 'user', 'content': '\n'.join(parts)}]


def repair_messages(answer: str, complaints: Sequence[str]) -> list[Message]:
    """
    Say what is wrong with an answer and ask for a better one.

    :param answer: as it came.
    :param complaints: what is wrong with it, with lines.
    :returns: messages that follow on those before.
    """
    shown = [f'- {text[:_MAX_COMPLAINT]}' for text in complaints[:MOST_COMPLAINTS]]
    if len(complaints) > MOST_COMPLAINTS:
        shown.append(f'- and {len(complaints) - MOST_COMPLAINTS} more')
    # Some servers refuse a message without text.
    return [{'role': 'assistant', 'content': answer or '(nothing)'},
            {'role': 'user', 'content': '\n'.join([
                'This is not right yet:', *shown,
                'Write the whole program again, without these mistakes, and nothing else.'])}]
