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
Which split an Ego4D video belongs to; fho_main.json does not say.

``ego4d.json``, which the download tool puts beside the folder ``v2``, has the split of each video
for the benchmark of hands and objects: ``split_fho``.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
import re

from lego_ros.files import sha256_of
from lego_ros.training.data.files import unusable
from lego_ros.training.data.json_stream import elements_of, JsonStreamError

_NAMES = {'train': 'train', 'val': 'validation', 'test': 'test', 'test_unseen': 'test_unseen'}
"""Ours, by Ego4D's; others, such as ``multi``, are none."""
_NAME = re.compile(r'[a-z][a-z0-9_-]*')


class Splits:
    """
    The split of each video.

    :param by_video: the split's name by ``video_uid``.
    :param source: what they were taken from, for the manifest's settings.
    """

    def __init__(self, by_video: dict[str, str], source: str) -> None:
        self._by_video = by_video
        self.source = source

    def of(self, video_uid: str) -> str:
        """
        Return a video's split.

        A video that no list names is put into training, validation or test, 90 : 5 : 5, by the
        hash of its id: always the same, whatever other videos there are.

        :param video_uid: of the video.
        :returns: the split's name.
        """
        if video_uid in self._by_video:
            return self._by_video[video_uid]
        percent = int(hashlib.sha256(video_uid.encode()).hexdigest(), 16) % 100
        return 'train' if percent < 90 else 'validation' if percent < 95 else 'test'


def find_splits(annotations: Path, listed: Path | None) -> Splits:
    """
    Find the splits.

    :param annotations: fho_main.json.
    :param listed: a JSON object with the split's name by ``video_uid``; None = ego4d.json beside
        fho_main.json or up to two folders above it where it is, else by hash.
    :returns: the splits.
    :raises LegoError: SOURCE_UNREADABLE: a file of splits is none.
    """
    if listed is not None:
        return _listed(listed)
    for folder in list(annotations.absolute().parents)[:3]:
        if (folder / 'ego4d.json').is_file():
            return _published(folder / 'ego4d.json')
    return Splits({}, 'hash of video_uid')


def _published(path: Path) -> Splits:
    try:
        named = {video['video_uid']: _NAMES.get(video.get('split_fho'))
                 for video in elements_of(path, 'videos')}
    except (JsonStreamError, KeyError, TypeError, AttributeError, OSError,
            UnicodeDecodeError) as error:
        raise unusable(path, f'it lists no videos with their split_fho: {error}') from error
    return Splits({uid: name for uid, name in named.items() if name is not None},
                  'sha256:' + sha256_of(path))


def _listed(path: Path) -> Splits:
    try:
        text = path.read_bytes()
        value = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise unusable(path, f'the splits cannot be read: {error}') from error
    if not isinstance(value, dict) or not all(
            isinstance(name, str) and _NAME.fullmatch(name) for name in value.values()):
        raise unusable(path, 'expected an object: the name of the split by video_uid, in small '
                       'letters, digits, - and _')
    return Splits(value, 'sha256:' + hashlib.sha256(text).hexdigest())
