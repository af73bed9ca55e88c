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

from __future__ import annotations

import subprocess
import sys

from lego_ros.sim.objects import build
from lego_ros.sim.scene import sample_scene, Wish
from lego_ros.sim.vocabulary import NOUNS
import numpy as np
import pytest


@pytest.mark.parametrize('noun', sorted(NOUNS))
def test_every_noun_has_a_shape_that_stands_on_its_ground(noun):
    shape = build(noun, np.random.default_rng(0))
    assert shape.parts
    assert 0.01 < shape.height < 0.3
    assert 0.02 < shape.radius <= 0.12
    if 'fill' in NOUNS[noun].uses:
        liquids = {part.role for part in shape.parts if part.role.startswith('fill_')}
        assert liquids == {'fill_water', 'fill_juice', 'fill_milk'}
        assert 0 < shape.floor < shape.rim
    if 'cut' in NOUNS[noun].uses:
        assert {part.role for part in shape.half} == {'cut'}
    if 'pour' in NOUNS[noun].uses:
        assert shape.spout is not None
        assert NOUNS[noun].liquid


def test_scenes_vary_in_layout_looks_person_and_camera():
    scenes = [sample_scene(seed, Wish()) for seed in range(40)]
    assert {scene.layout.fridge for scene in scenes} == {'left', 'right', ''}
    assert len({scene.layout.zones for scene in scenes}) > 12
    assert len({scene.person.skin for scene in scenes}) >= 4
    assert len({scene.person.sleeve for scene in scenes}) >= 5
    assert np.std([scene.head.pitch for scene in scenes]) > 0.02
    assert np.std([scene.head.pos[2] for scene in scenes]) > 0.02
    seen = {noun for scene in scenes for noun in scene.things}
    assert seen == set(NOUNS)


def test_no_two_things_stand_on_one_spot():
    for seed in range(40):
        scene = sample_scene(seed, Wish())
        spots = [thing.spot for thing in scene.things.values()]
        assert len(spots) == len(set(spots))
        assert all(scene.layout.spots[spot].row in scene.things[noun].noun.homes
                   for noun, spot in zip(scene.things, spots, strict=True))


def test_the_kitchen_needs_neither_ros_nor_torch():
    code = ('import sys, lego_ros.sim.episode, lego_ros.sim.render, lego_ros.sim.contact_sheet; '
            'ours = [m for m in sys.modules if m.startswith("lego_ros.") '
            'and not m.startswith(("lego_ros.sim", "lego_ros.errors"))]; '
            'sys.exit(str(ours) if ours or "rclpy" in sys.modules or "torch" in sys.modules '
            'else 0)')
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                            check=False)
    assert result.returncode == 0, result.stderr
