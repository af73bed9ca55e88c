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
Which split a scene belongs to: by its seed, and by the verb-noun pairs that occur in it.

A scene is a seed, so splits that differ in seeds differ in scenes. Training and validation never
see the pairs of :data:`UNSEEN_PAIRS`, while they see each of those verbs with other nouns and each
of those nouns with other verbs.
"""

from __future__ import annotations

import hashlib

from lego_ros.sim.actions.base import Choice
from lego_ros.sim.episode import Episode

TRAIN, VALIDATION, TEST, TEST_UNSEEN = SPLITS = ('train', 'validation', 'test', 'test_unseen')
UNSEEN_PAIRS = frozenset({
    ('cut', 'tomato'), ('wash', 'apple'), ('push', 'tin'), ('stir', 'pot'), ('put', 'carton'),
    ('take', 'lemon'), ('take', 'fork'), ('wipe', 'hob')})
"""Verb and noun; some 8 % of the kitchen's pairs, in some 20 % of its episodes."""
_VALIDATION_PERCENT, _TEST_PERCENT = 10, 10


def noun_of(choice: Choice) -> str:
    """
    Name what is acted on, without what tells it from others of its kind.

    :param choice: the action.
    :returns: ``drawer`` for the left drawer.
    """
    return choice.noun.rsplit(' ', 1)[-1]


def is_unseen(choice: Choice) -> bool:
    """
    Tell whether an action's verb and noun are held out from training.

    :param choice: the action.
    :returns: whether they are one of UNSEEN_PAIRS.
    """
    return (choice.verb, noun_of(choice)) in UNSEEN_PAIRS


def split_of_seed(seed: int) -> str:
    """
    Return the split of a scene without unseen pairs.

    It hangs on nothing but the seed, so neither the number of episodes nor where they begin moves
    a scene from one split to another.

    :param seed: of the episode.
    :returns: 80 % ``train``, 10 % ``validation``, 10 % ``test``.
    """
    # Hashed: users number their seeds in patterns.
    digest = hashlib.sha256(f'lego_ros kitchen split {seed}'.encode()).digest()
    percent = int.from_bytes(digest[:8], 'big') % 100
    if percent < _VALIDATION_PERCENT:
        return VALIDATION
    return TEST if percent < _VALIDATION_PERCENT + _TEST_PERCENT else TRAIN


def split_of(episode: Episode) -> str:
    """
    Return the split of an episode.

    :param episode: drawn from its seed.
    :returns: ``test_unseen`` where an unseen pair occurs in it, else that of its seed.
    """
    if any(is_unseen(action.choice) for action in episode.actions):
        return TEST_UNSEEN
    return split_of_seed(episode.seed)


def annotated(episode: Episode) -> list[int]:
    """
    List the actions of an episode that are annotated.

    :param episode: drawn from its seed.
    :returns: their numbers; of an episode of ``test_unseen`` only those with an unseen pair, so
        that this split holds nothing else.
    """
    unseen = split_of(episode) == TEST_UNSEEN
    return [number for number, action in enumerate(episode.actions)
            if not unseen or is_unseen(action.choice)]
