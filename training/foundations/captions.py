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
Captions of kitchen scenes: what is visible and where, in which state, and where the hands are.

They say nothing of what is being done or is to be done: that is for the instruction tuning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lego_ros.sim.vocabulary import HANDS, NOUNS
from lego_ros.training.foundations.scenes import Box, SceneState
import numpy as np

SCENE_QUESTIONS = (
    'What does the person see?',
    'What is in view?',
    'Describe the scene in this first-person frame.',
    'Which things are in the picture, and where?',
)
_OPENINGS = ('The person sees', 'In view is', 'The frame shows', 'Before the person is')
_SMALLEST = 4e-4
"""Part of the picture below which a thing is not mentioned: some 2.5 x 2.5 of 128 x 128 px."""
_CLEAR = 1.4
"""How much longer than the other one a direction must be to be named."""
_FORESHORTENING = 1.8
"""How much longer the depth of the counter is than it looks, from the camera's height."""
_SURFACES = {'board': 'on the chopping board', 'hob': 'on the hob', 'sink': 'in the sink'}


@dataclass(frozen=True)
class Fact:
    """
    Something that can be seen.

    :param subject: what it is about, with its article: ``the mug``.
    :param question: that asks for it.
    :param phrase: ``a mug to the left of the sink``; '' = it is said as a sentence only.
    :param sentence: ``the mug is to the left of the sink``.
    """

    subject: str
    question: str
    phrase: str
    sentence: str


def facts(state: SceneState) -> list[Fact]:
    """
    List what can be seen.

    :param state: of the picture.
    :returns: portable things from left to right, then fixtures and water, then hands.
    """
    things = sorted((name for name in state.boxes if name in NOUNS and _seen(state, name)),
                    key=lambda name: _centre(state.boxes[name]))
    return [*(_thing(state, name) for name in things),
            *(_fixture(state, name) for name in sorted(state.opening) if _seen(state, name)),
            *_spill(state), *(_hand(state, side) for side in HANDS)]


def full_caption(state: SceneState) -> str:
    """
    Say all that can be seen, in the order of :func:`facts`.

    :param state: of the picture.
    :returns: sentences.
    """
    return _join(facts(state), _OPENINGS[0])


def caption(state: SceneState, rng: np.random.Generator, most: int) -> str:
    """
    Say some of what can be seen, in other words and another order each time.

    :param state: of the picture.
    :param rng: chooses.
    :param most: how many facts at most.
    :returns: sentences.
    """
    known = facts(state)
    order = rng.permutation(len(known))[:most]
    return _join([known[index] for index in order],
                 _OPENINGS[int(rng.integers(len(_OPENINGS)))])


def dialogue(state: SceneState, rng: np.random.Generator) -> tuple[str, str]:
    """
    Draw a question about the picture, for the whole scene or for one thing in it.

    :param state: of the picture.
    :param rng: draws.
    :returns: question and answer.
    """
    if rng.random() < 0.5:
        return SCENE_QUESTIONS[int(rng.integers(len(SCENE_QUESTIONS)))], full_caption(state)
    known = facts(state)
    fact = known[int(rng.integers(len(known)))]
    return fact.question, f'{_capital(fact.sentence)}.'


def _join(known: Sequence[Fact], opening: str) -> str:
    listed = [fact.phrase for fact in known if fact.phrase]
    told = [fact.sentence for fact in known if not fact.phrase]
    text = f'{opening} {_enumerate(listed)}.' if listed else ''
    return ' '.join([*([text] if text else []), *(f'{_capital(each)}.' for each in told)])


def _enumerate(phrases: Sequence[str]) -> str:
    if len(phrases) == 1:
        return phrases[0]
    return f'{", ".join(phrases[:-1])} and {phrases[-1]}'


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _thing(state: SceneState, name: str) -> Fact:
    named, place = _looks(state, name), _place(state, name)
    article = '' if named == 'bread' else 'an ' if named[0] in 'aeiou' else 'a '
    return Fact(f'the {name}', f'Where is the {name}?', f'{article}{named} {place}',
                f'the {named} is {place}')


def _looks(state: SceneState, name: str) -> str:
    """Name a thing with what is special about its looks: ``dirty mug``."""
    named = f'dirty {name}' if name in state.dirty else name
    if name in state.cut:
        named += ' cut in two'
    if name in state.flipped:
        named += ' turned upside down'
    # What is in closed vessels cannot be seen.
    if name in state.liquid and 'fill' in NOUNS[name].uses:
        named += f' with {state.liquid[name]}'
    return named


def _place(state: SceneState, name: str) -> str:
    place = state.location.get(name, '')
    for side in HANDS:
        if place == f'{side}_hand':
            return f'in the {side} hand'
        if name in state.touching.get(side, ()):
            return f'at the {side} hand'
    if place in NOUNS:
        return f'{"on" if place == "plate" or name == "lid" else "in"} the {place}'
    row, _, number = place.rpartition('_')
    if place in state.opening or row in state.opening:
        within = row if row in state.opening else place
        if within not in ('hob', 'tap'):
            return f'in the open {_fixture_name(state, within)}'
    for row_name, words in _SURFACES.items():
        if place == row_name or (row == row_name and number.isdigit()):
            return words
    return _beside(state, name) or f'{_third(state.boxes[name])} of the counter'


def _beside(state: SceneState, name: str) -> str:
    """Relate a thing to the nearest one that is clearly in one direction; '' = none is."""
    best, phrase = 0.45, ''
    x, y = _foot(state.boxes[name])
    for other in state.boxes:
        if other == name or not _seen(state, other) or not _is_landmark(state, other):
            continue
        other_x, other_y = _foot(state.boxes[other])
        dx, dy = x - other_x, _FORESHORTENING * (y - other_y)
        far = float(np.hypot(dx, dy))
        if far >= best or max(abs(dx), abs(dy)) < _CLEAR * min(abs(dx), abs(dy)):
            continue
        if abs(dx) > abs(dy):
            words = f'to the {"left" if dx < 0 else "right"} of'
        else:
            words = 'behind' if dy < 0 else 'in front of'
        best, phrase = far, f'{words} the {other}'
    return phrase


def _is_landmark(state: SceneState, name: str) -> bool:
    """Tell whether something stands on the counter, or is part of it."""
    place = state.location.get(name, '')
    return name in ('sink', 'hob') or (
        name in NOUNS and place.startswith(('near_', 'far_')) and not any(
            name in touched for touched in state.touching.values()))


def _fixture_name(state: SceneState, name: str) -> str:
    """Name a fixture; ``left`` and ``right`` only where there are two of its kind."""
    kind = name.rsplit('_', 1)[-1]
    several = sum(other.rsplit('_', 1)[-1] == kind for other in state.opening) > 1
    return name.replace('_', ' ') if several else kind


def _fixture(state: SceneState, name: str) -> Fact:
    kind = name.rsplit('_', 1)[-1]
    value = state.opening[name]
    if kind == 'tap':
        return Fact('the tap', 'Is the tap on or off?', '',
                    'water runs from the tap' if state.running else 'the tap is off')
    if kind == 'hob':
        return Fact('the hob', 'Is the hob on or off?', '',
                    f'the hob is {"on" if value > 0.5 else "off"}')
    named = _fixture_name(state, name)
    degree = 'closed' if value < 0.1 else 'half open' if value < 0.8 else 'open'
    return Fact(f'the {named}', f'Is the {named} open or closed?', '',
                f'the {named} is {degree}')


def _spill(state: SceneState) -> list[Fact]:
    if not _seen(state, 'stain'):
        return []
    where = _third(state.boxes['stain'])
    return [Fact('the spill', 'Where is the spill?', f'a spill {where}', f'the spill is {where}')]


def _hand(state: SceneState, side: str) -> Fact:
    question = f'Where is the {side} hand?'
    subject = f'the {side} hand'
    if not _seen(state, f'{side}_hand'):
        return Fact(subject, question, '', f'{subject} is out of view')
    held = [name for name, place in state.location.items() if place == f'{side}_hand']
    touched = [name for name in state.touching.get(side, ()) if name not in held]
    doing = ''
    if held:
        doing = f', with the {held[0]}'
    elif touched:
        doing = f', on the {_name(state, touched[0])}'
    x1, y1, x2, y2 = state.boxes[f'{side}_hand']
    height = 'top' if (y1 + y2) / 2 < 0.42 else 'bottom' if (y1 + y2) / 2 > 0.7 else 'middle'
    return Fact(subject, question, '',
                f'{subject} is {_third((x1, y1, x2, y2))}, near the {height}{doing}')


def _name(state: SceneState, entity: str) -> str:
    if entity in state.opening:
        return _fixture_name(state, entity)
    return {'board': 'chopping board', 'stain': 'spill'}.get(entity, entity).replace('_', ' ')


def _third(box: Box) -> str:
    x = _centre(box)
    return 'on the left side' if x < 0.36 else 'on the right side' if x > 0.64 else 'in the middle'


def _centre(box: Box) -> float:
    return (box[0] + box[2]) / 2


def _foot(box: Box) -> tuple[float, float]:
    """Where something stands."""
    return _centre(box), box[3]


def _seen(state: SceneState, name: str) -> bool:
    box = state.boxes.get(name)
    return box is not None and (box[2] - box[0]) * (box[3] - box[1]) >= _SMALLEST
