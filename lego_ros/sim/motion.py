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
Motion as functions of time, so that any frame can be asked for without those before it.

Times are frames at 30 per second, counted from 0; they may be fractional.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Generic, TypeVar

from lego_ros.sim.geometry import Pose, slerp, Vector
import numpy as np

FPS = 30

T = TypeVar('T')
Motion = Callable[[float], T]


def minimum_jerk(s: float) -> float:
    """
    Ease from 0 to 1 as hands do (Flash and Hogan 1985, equation for a straight reach).

    :param s: share of the time, clipped to 0..1.
    :returns: share of the way, with no speed and no acceleration at either end.
    """
    s = min(1.0, max(0.0, s))
    return s * s * s * (10 + s * (6 * s - 15))


def between(start: float, end: float, at: float) -> float:
    """
    Return the share of the way at a time.

    :param start: first frame.
    :param end: last frame.
    :param at: the frame asked for.
    :returns: 0..1.
    """
    return minimum_jerk((at - start) / max(1e-9, end - start))


def still(value: T) -> Motion[T]:
    """
    Stay.

    :param value: what is returned at all times.
    :returns: the motion.
    """
    return lambda at: value


def reach(a: Pose, b: Pose, start: float, end: float, lift: Vector) -> Motion[Pose]:
    """
    Move from one pose to another.

    :param a: pose at the start.
    :param b: pose at the end.
    :param start: first frame.
    :param end: last frame.
    :param lift: (3,) how far the way is bent at its middle, metres; zero is a straight line.
    :returns: the motion: a parabola travelled with minimum jerk.
    """
    def at(t: float) -> Pose:
        s = between(start, end, t)
        return Pose((1 - s) * a.pos + s * b.pos + 4 * s * (1 - s) * lift,
                    slerp(a.quat, b.quat, s))
    return at


def blend(a: np.ndarray, b: np.ndarray, start: float, end: float) -> Motion[np.ndarray]:
    """
    Change numbers smoothly.

    :param a: array at the start.
    :param b: array of the same shape at the end.
    :param start: first frame.
    :param end: last frame.
    :returns: the motion.
    """
    def at(t: float) -> np.ndarray:
        s = between(start, end, t)
        return (1 - s) * a + s * b
    return at


class Track(Generic[T]):
    """
    A motion put together from pieces, each valid from its first frame until the next piece's.

    :param first: the value before anything happens.
    """

    def __init__(self, first: Motion[T]) -> None:
        self._starts: list[float] = [0.0]
        self._motions: list[Motion[T]] = [first]

    def add(self, start: float, motion: Motion[T]) -> None:
        """
        Append a piece.

        :param start: its first frame, not before the last piece's.
        :param motion: what to do from then on; it must hold its last value after its end.
        :raises ValueError: where the piece would begin before the one appended before.
        """
        if start < self._starts[-1]:
            raise ValueError(f'a piece of motion starts at frame {start}, before the last one '
                             f'at {self._starts[-1]}')
        self._starts.append(start)
        self._motions.append(motion)

    def at(self, t: float) -> T:
        """
        Return the value at a time.

        :param t: frame.
        :returns: the value.
        """
        return self._motions[max(0, bisect_right(self._starts, t) - 1)](t)

    @property
    def length(self) -> int:
        """How many pieces there are."""
        return len(self._starts)

    def cut(self, length: int) -> None:
        """
        Forget the last pieces.

        :param length: how many stay.
        """
        del self._starts[length:], self._motions[length:]
