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

"""The pinhole model: guessed, read, rescaled."""

from __future__ import annotations

from dataclasses import replace
import math

from lego_ros.camera.calibration import load_calibration, pinhole
from lego_ros.errors import ErrorCode, LegoError
import numpy as np
import pytest
import yaml


def project(calibration, point):
    u, v, w = np.array(calibration.p).reshape(3, 4) @ np.append(point, 1.0)
    return np.array([u / w, v / w])


@pytest.mark.parametrize('fov', [30.0, 70.0, 150.0])
def test_field_of_view_spans_the_picture(fov):
    model = pinhole(641, 480, fov)
    angle = math.radians(fov / 2)
    # Pixels are a unit wide and their centres whole numbers: the edges lie at -0.5 and 640.5.
    assert project(model, [math.tan(angle), 0, 1])[0] == pytest.approx(640.5)
    assert project(model, [-math.tan(angle), 0, 1])[0] == pytest.approx(-0.5)
    assert project(model, [0, 0, 1]) == pytest.approx([320, 239.5])


def test_resized_model_sees_the_same():
    model = pinhole(640, 480, 70.0)
    half = model.resized(320, 240)
    for point in ([0.3, -0.2, 1.0], [-0.5, 0.4, 2.0]):
        # The same place, measured from the corner of the picture.
        assert (project(half, point) + 0.5) * 2 == pytest.approx(project(model, point) + 0.5)
    assert np.array(half.k) == pytest.approx(np.array(pinhole(320, 240, 70.0).k))
    assert half.k[8] == half.p[10] == 1
    assert model.resized(640, 480) is model


def test_stereo_baseline_is_scaled_with_the_focal_length():
    model = pinhole(640, 480, 70.0)
    p = list(model.p)
    p[3] = -0.1 * p[0]
    half = replace(model, p=tuple(p)).resized(320, 240)
    assert half.p[3] / half.p[0] == pytest.approx(-0.1)


def test_another_shape_is_refused():
    with pytest.raises(LegoError, match='640 x 480') as caught:
        pinhole(640, 480, 70.0).resized(640, 360)
    assert caught.value.code == ErrorCode.INVALID_SETTING


@pytest.fixture
def content():
    return {
        'image_width': 640, 'image_height': 480, 'camera_name': 'head',
        'camera_matrix': {'rows': 3, 'cols': 3, 'data': [500, 0, 320, 0, 501.5, 240, 0, 0, 1]},
        'distortion_model': 'plumb_bob',
        'distortion_coefficients': {'rows': 1, 'cols': 5, 'data': [0.1, -0.2, 0, 0, 0]},
        'rectification_matrix': {'rows': 3, 'cols': 3, 'data': [1, 0, 0, 0, 1, 0, 0, 0, 1]},
        'projection_matrix': {
            'rows': 3, 'cols': 4, 'data': [490, 0, 320, 0, 0, 491, 240, 0, 0, 0, 1, 0]},
    }


def test_file_of_camera_calibration(tmp_path, content):
    path = tmp_path / 'head.yaml'
    path.write_text(yaml.safe_dump(content))
    model = load_calibration(path)
    assert (model.width, model.height, model.distortion_model) == (640, 480, 'plumb_bob')
    assert model.k[4] == 501.5
    assert model.d == (0.1, -0.2, 0.0, 0.0, 0.0)
    assert model.p[5] == 491.0


@pytest.mark.parametrize(('key', 'value', 'reason'), [
    ('image_width', 0, 'image_width'),
    ('image_height', 'tall', 'image_height'),
    ('camera_matrix', None, 'camera_matrix'),
    ('camera_matrix', {'data': [1, 2, 3]}, 'camera_matrix has 3'),
    ('camera_matrix', {'data': ['a'] * 9}, 'camera_matrix'),
    ('projection_matrix', {'data': [float('nan')] * 12}, 'projection_matrix'),
    ('distortion_coefficients', {'data': [0.0] * 99}, 'distortion_coefficients has 99'),
    ('distortion_model', 7, 'distortion_model'),
    ('rectification_matrix', ..., 'rectification_matrix.* missing'),
])
def test_wrong_file(tmp_path, content, key, value, reason):
    content[key] = value
    if value is ...:
        del content[key]
    path = tmp_path / 'head.yaml'
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(LegoError, match=reason) as caught:
        load_calibration(path)
    assert caught.value.code == ErrorCode.INVALID_SETTING
    assert str(path) in caught.value.message


@pytest.mark.parametrize('text', ['', '- 1', 'a: [', '!!python/object/apply:os.getcwd []',
                                  '#' * 70000])
def test_file_that_is_no_calibration(tmp_path, text):
    (tmp_path / 'x.yaml').write_text(text)
    with pytest.raises(LegoError, match=r'x\.yaml'):
        load_calibration(tmp_path / 'x.yaml')
    with pytest.raises(LegoError, match='missing'):
        load_calibration(tmp_path / 'missing.yaml')
