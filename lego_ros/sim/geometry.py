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

"""Rigid poses: metres, unit quaternions (w, x, y, z), right-handed, x right, y forward, z up."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

Vector = np.ndarray


def vector(x: float, y: float, z: float) -> Vector:
    """
    Return a point or direction.

    :param x: to the right.
    :param y: forward, away from the person.
    :param z: up.
    :returns: (3,) float64.
    """
    return np.array([x, y, z], dtype=np.float64)


def unit(v: Vector) -> Vector:
    """
    Scale to length 1.

    :param v: (3,), not zero.
    :returns: (3,) float64.
    """
    return np.asarray(v, dtype=np.float64) / math.sqrt(float(np.dot(v, v)))


def cross(a: Vector, b: Vector) -> Vector:
    """
    Vector product; numpy's own takes ten times as long for a single pair.

    :param a: (3,).
    :param b: (3,).
    :returns: (3,) float64.
    """
    ax, ay, az = a.tolist()
    bx, by, bz = b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def quat_multiply(a: Vector, b: Vector) -> Vector:
    """
    Hamilton product: first b, then a.

    :param a: (4,) quaternion.
    :param b: (4,) quaternion.
    :returns: (4,) float64.
    """
    aw, ax, ay, az = a.tolist()
    bw, bx, by, bz = b.tolist()
    return np.array([
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    ])


def quat_rotate(q: Vector, v: Vector) -> Vector:
    """
    Turn a vector.

    :param q: (4,) unit quaternion.
    :param v: (3,).
    :returns: (3,) float64.
    """
    w, x, y, z = q.tolist()
    vx, vy, vz = v.tolist()
    tx, ty, tz = 2 * (y * vz - z * vy), 2 * (z * vx - x * vz), 2 * (x * vy - y * vx)
    return np.array([
        vx + w * tx + y * tz - z * ty,
        vy + w * ty + z * tx - x * tz,
        vz + w * tz + x * ty - y * tx,
    ])


def quat_about(axis: Vector, angle: float) -> Vector:
    """
    Rotation by an angle about an axis.

    :param axis: (3,), any length but zero.
    :param angle: radians, right-hand rule.
    :returns: (4,) unit quaternion.
    """
    a = unit(axis) * math.sin(angle / 2)
    return np.array([math.cos(angle / 2), a[0], a[1], a[2]])


def quat_from_axes(x: Vector, y: Vector, z: Vector) -> Vector:
    """
    Rotation that takes the unit axes to x, y, z.

    :param x: (3,) image of the x axis; the three are orthonormal and right-handed.
    :param y: (3,) image of the y axis.
    :param z: (3,) image of the z axis.
    :returns: (4,) unit quaternion (Shepperd's method: the largest component is the divisor).
    """
    # The columns c of the matrix: c[j][i] stands in row i of column j.
    c = x.tolist(), y.tolist(), z.tolist()
    trace = c[0][0] + c[1][1] + c[2][2]
    squares = [trace, c[0][0], c[1][1], c[2][2]]
    largest = squares.index(max(squares))
    if largest == 0:
        w = math.sqrt(max(0.0, 1 + trace)) / 2
        return np.array([w, (c[1][2] - c[2][1]) / (4 * w), (c[2][0] - c[0][2]) / (4 * w),
                         (c[0][1] - c[1][0]) / (4 * w)])
    i = largest - 1
    j, k = (i + 1) % 3, (i + 2) % 3
    s = 2 * math.sqrt(max(1e-12, 1 + (c[i][i] - c[j][j] - c[k][k])))
    q = np.empty(4)
    q[0] = (c[j][k] - c[k][j]) / s
    q[1 + i] = s / 4
    q[1 + j] = (c[i][j] + c[j][i]) / s
    q[1 + k] = (c[i][k] + c[k][i]) / s
    return q


def slerp(a: Vector, b: Vector, s: float) -> Vector:
    """
    Turn evenly from one rotation to another along the shorter way.

    :param a: (4,) rotation at s = 0.
    :param b: (4,) rotation at s = 1.
    :param s: 0..1.
    :returns: (4,) unit quaternion.
    """
    dot = float(np.dot(a, b))
    if dot < 0:
        b, dot = -b, -dot
    if dot > 0.9995:
        mixed = a + s * (b - a)
        return mixed / math.sqrt(float(np.dot(mixed, mixed)))
    angle = math.acos(min(1.0, dot))
    return (math.sin((1 - s) * angle) * a + math.sin(s * angle) * b) / math.sin(angle)


IDENTITY_QUAT = np.array([1.0, 0.0, 0.0, 0.0])


@dataclass(frozen=True)
class Pose:
    """
    Where a rigid body is.

    :param pos: (3,) metres.
    :param quat: (4,) unit quaternion.
    """

    pos: Vector
    quat: Vector

    @staticmethod
    def at(x: float, y: float, z: float, yaw: float = 0.0) -> Pose:
        """
        Return an upright pose.

        :param x: metres.
        :param y: metres.
        :param z: metres.
        :param yaw: radians about z.
        :returns: the pose.
        """
        return Pose(vector(x, y, z), np.array([math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)]))

    def __matmul__(self, other: Pose) -> Pose:
        return Pose(self.pos + quat_rotate(self.quat, other.pos),
                    quat_multiply(self.quat, other.quat))

    def inverse(self) -> Pose:
        """Return the pose that undoes this one."""
        conjugate = self.quat * np.array([1.0, -1.0, -1.0, -1.0])
        return Pose(-quat_rotate(conjugate, self.pos), conjugate)

    def apply(self, point: Vector) -> Vector:
        """
        Take a point of the body into the world.

        :param point: (3,) in the body's frame.
        :returns: (3,) in the world's frame.
        """
        return self.pos + quat_rotate(self.quat, point)

    def moved(self, offset: Vector) -> Pose:
        """
        Shift without turning.

        :param offset: (3,) metres in the world's frame.
        :returns: the shifted pose.
        """
        return Pose(self.pos + offset, self.quat)

    def turned(self, axis: Vector, angle: float) -> Pose:
        """
        Turn in place about an axis of the world.

        :param axis: (3,).
        :param angle: radians.
        :returns: the turned pose.
        """
        return Pose(self.pos, quat_multiply(quat_about(axis, angle), self.quat))
