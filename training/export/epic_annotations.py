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

"""An episode as EPIC-KITCHENS-100 annotates it: rows of its CSV files, and the taxonomies."""

from __future__ import annotations

import csv
import io

from lego_ros.sim.episode import ActionTruth, Episode
from lego_ros.sim.motion import FPS
from lego_ros.sim.vocabulary import FIXTURES, NOUNS, VERBS
from lego_ros.training.data.epic import frame_number
from lego_ros.training.data.labels import parse_narration
from lego_ros.training.export.epic_times import epic_times, timestamp
from lego_ros.training.export.ids import epic_action, epic_video
from lego_ros.training.export.splits import annotated, noun_of

COLUMNS = (
    'narration_id', 'participant_id', 'video_id', 'narration_timestamp', 'start_timestamp',
    'stop_timestamp', 'start_frame', 'stop_frame', 'narration', 'verb', 'verb_class', 'noun',
    'noun_class', 'all_nouns', 'all_noun_classes')
VERB_CLASSES = tuple(VERBS)
NOUN_CLASSES = (*NOUNS, *FIXTURES, 'milk', 'juice', 'water')
"""The kitchen's own classes; their numbers are not those of the dataset's taxonomy."""
_GROUPS = {**dict.fromkeys(NOUNS, 'things'), **dict.fromkeys(FIXTURES, 'fixtures'),
           **dict.fromkeys(('milk', 'juice', 'water'), 'liquids')}
_SPOKEN = {'board': 'board:chopping'}
_SIDED = ('drawer', 'cupboard')


def rows(episode: Episode) -> list[dict[str, object]]:
    """
    Annotate an episode.

    :param episode: which.
    :returns: a row by column for each annotated action.
    """
    return [_row(episode, number) for number in annotated(episode)]


def last_second(episode: Episode) -> float:
    """
    Return when the last annotated action stops.

    :param episode: which.
    :returns: seconds, 0 without an action; it may lie after the episode's last frame.
    """
    return max((_times(episode.actions[number])[1] / 100 for number in annotated(episode)),
               default=0.0)


def to_csv(columns: tuple[str, ...], found: list[dict[str, object]]) -> bytes:
    """
    Write rows as a CSV file.

    :param columns: its header.
    :param found: the rows by column.
    :returns: UTF-8.
    """
    text = io.StringIO(newline='')
    writer = csv.DictWriter(text, columns, lineterminator='\n')
    writer.writeheader()
    writer.writerows(found)
    return text.getvalue().encode()


def verb_classes() -> bytes:
    """
    Write EPIC_100_verb_classes.csv for the kitchen's verbs.

    :returns: the file's content.
    """
    return to_csv(('id', 'key', 'instances', 'category'), [
        {'id': number, 'key': _dashed(verb), 'instances': repr([_dashed(verb)]),
         'category': 'actions'} for number, verb in enumerate(VERB_CLASSES)])


def noun_classes() -> bytes:
    """
    Write EPIC_100_noun_classes.csv for the kitchen's nouns.

    :returns: the file's content.
    """
    found: list[dict[str, object]] = []
    for number, noun in enumerate(NOUN_CLASSES):
        sided = [f'{noun}:left', f'{noun}:right'] if noun in _SIDED else []
        found.append({'id': number, 'key': _SPOKEN.get(noun, noun),
                      'instances': repr([_SPOKEN.get(noun, noun), *sided]),
                      'category': _GROUPS[noun]})
    return to_csv(('id', 'key', 'instances', 'category'), found)


def _row(episode: Episode, number: int) -> dict[str, object]:
    action = episode.actions[number]
    video = epic_video(episode.seed)
    start, stop = _times(action)
    # EPIC-KITCHENS' narrators leave articles out.
    narration = parse_narration(action.narration).label.replace(' the ', ' ')
    noun = noun_of(action.choice)
    others = [word for word in NOUN_CLASSES if word in narration.split() and word != noun]
    key = _key(action)
    moment = round(1000 * action.contact / FPS)
    return {
        'narration_id': epic_action(episode.seed, number),
        'participant_id': video.split('_')[0], 'video_id': video,
        'narration_timestamp': f'{timestamp(moment // 10)}{moment % 10}',
        'start_timestamp': timestamp(start), 'stop_timestamp': timestamp(stop),
        'start_frame': frame_number(start / 100, video),
        'stop_frame': frame_number(stop / 100, video),
        'narration': narration, 'verb': _dashed(action.choice.verb),
        'verb_class': VERB_CLASSES.index(action.choice.verb), 'noun': key,
        'noun_class': NOUN_CLASSES.index(noun),
        'all_nouns': repr([key, *(_SPOKEN.get(word, word) for word in others)]),
        'all_noun_classes': repr([NOUN_CLASSES.index(word) for word in (noun, *others)])}


def _times(action: ActionTruth) -> tuple[int, int]:
    return epic_times(action.pre - 15, action.pnr)


def _key(action: ActionTruth) -> str:
    """Write a noun as EPIC-KITCHENS does: the head, then what tells it apart."""
    words = action.choice.noun.split(' ')
    return ':'.join([words[-1], *words[:-1]]) if len(words) > 1 else _SPOKEN.get(
        words[0], words[0])


def _dashed(verb: str) -> str:
    return verb.replace(' ', '-')
