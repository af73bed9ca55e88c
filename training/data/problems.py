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

"""What could not be used: every row, video and interval that is left out, with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import Enum
import json
from pathlib import Path

from lego_ros.files import write_whole
from lego_ros.training.data.files import unusable


class Reason(str, Enum):
    """Why something was left out; the keys of the counts."""

    MALFORMED = 'malformed'
    """Not of the form that the dataset's documentation gives."""
    TRUNCATED = 'truncated'
    """The file ends before it should."""
    DUPLICATE = 'duplicate'
    """An id that was there before."""
    REDACTED = 'redacted'
    """The dataset hides this interval."""
    INVALID_ACTION = 'invalid_action'
    """The annotators marked it as no valid action."""
    REJECTED = 'rejected'
    """The annotators rejected it."""
    INVALID_ANNOTATION = 'invalid_annotation'
    """The annotation itself is marked as invalid."""
    NO_CRITICAL_FRAMES = 'no_critical_frames'
    """An Ego4D action without the frames that a pair needs."""
    OTHER_PERSON = 'other_person'
    """The narration is about somebody other than the wearer."""
    UNSURE = 'unsure'
    """The narrator was not sure what is seen."""
    BAD_BOX = 'bad_box'
    """A box or mask without area; the rest of its action is used."""
    UNKNOWN_CONTACT = 'unknown_contact'
    """A contact with an object that the frame does not have; the rest is used."""
    MISSING_BOXES = 'missing_boxes'
    """No file of boxes for a video, or an unusable one; its pairs have none from there."""
    KNOWN_ERROR = 'known_error'
    """An error of the release that is known, and was mended."""
    FRAME_RULE = 'frame_rule'
    """A frame number that the annotation's rule does not give for its time."""
    FRAME_RATE = 'frame_rate'
    """The file's frame rate is not the one that its frame numbers count in."""
    MISSING_VIDEO = 'missing_video'
    """No file where the video or its frames should be."""
    MISSING_FRAME = 'missing_frame'
    """A frame within the video that is not there or cannot be decoded."""
    OUT_OF_VIDEO = 'out_of_video'
    """A time before the video's beginning or after its end."""
    WRONG_ORDER = 'wrong_order'
    """The input would not come before the target."""


@dataclass(frozen=True, order=True)
class Problem:
    """
    One thing left out.

    :param file: where it stands, as the user named the file.
    :param row: which part of it: a line, an index path or an id.
    :param reason: one of :class:`Reason`.
    :param detail: what was found, in words.
    """

    file: str
    row: str
    reason: Reason
    detail: str


class ProblemLog:
    """A list of problems that can be counted, merged and written; in no order of time."""

    def __init__(self, problems: Iterable[Problem] = ()) -> None:
        self._problems = list(problems)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._problems)

    def __len__(self) -> int:
        return len(self._problems)

    def add(self, reason: Reason, file: Path | str, row: str, detail: str) -> None:
        """
        Note one thing left out.

        :param reason: the key it is counted by.
        :param file: where it stands.
        :param row: which part of the file.
        :param detail: what was found.
        """
        self._problems.append(Problem(str(file), row, reason, detail))

    def extend(self, problems: Iterable[Problem]) -> None:
        """
        Take over another list, for instance another process's.

        :param problems: to add.
        """
        self._problems.extend(problems)

    @property
    def counts(self) -> dict[str, int]:
        """How often each reason occurs, in the order of :class:`Reason`."""
        counted = Counter(problem.reason for problem in self._problems)
        return {reason.value: counted[reason] for reason in Reason if counted[reason]}

    def to_lines(self) -> bytes:
        """
        Write the list down, sorted: the same problems give the same bytes, however found.

        :returns: JSON Lines in UTF-8.
        """
        return b''.join(
            json.dumps(asdict(problem), ensure_ascii=False).encode('utf-8', 'replace') + b'\n'
            for problem in sorted(self._problems))

    def write(self, path: Path) -> None:
        """
        Write the list to a file.

        :param path: of the JSON Lines file; one that is there is replaced.
        :raises OSError: it cannot be written.
        """
        write_whole(path, self.to_lines())

    @classmethod
    def read(cls, path: Path) -> ProblemLog:
        """
        Read what :meth:`write` wrote.

        :param path: of the JSON Lines file.
        :returns: the list.
        :raises LegoError: SOURCE_UNREADABLE, naming file and line.
        """
        log = cls()
        try:
            # Not splitlines(): it would part lines at U+2028 too.
            lines = path.read_bytes().removesuffix(b'\n').split(b'\n')
        except OSError as error:
            raise unusable(path, f'the list of problems cannot be read: {error}') from error
        for number, line in enumerate(lines if lines != [b''] else [], start=1):
            try:
                entry = json.loads(line)
                log.add(Reason(entry['reason']), entry['file'], entry['row'], entry['detail'])
            except (ValueError, KeyError, TypeError) as error:
                raise unusable(path, f'line {number} is no problem entry: {error}') from error
        return log
