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

"""What a scene must hold so that a verb can be done in it."""

from __future__ import annotations

from types import MappingProxyType

from lego_ros.sim.scene import Wish
from lego_ros.sim.vocabulary import NOUNS


def _that(use: str) -> tuple[str, ...]:
    return tuple(noun.name for noun in NOUNS.values() if use in noun.uses)


WISHES = MappingProxyType({
    'open': (Wish(shut=('drawer',)), Wish(zones=('cupboard',), shut=('cupboard',)),
             Wish(zones=('fridge',), shut=('fridge',))),
    'close': (Wish(opened=('drawer',)), Wish(zones=('cupboard',), opened=('cupboard',)),
              Wish(zones=('fridge',), opened=('fridge',))),
    'take': (Wish(zones=('free',)), Wish(opened=('drawer',)),
             Wish(zones=('cupboard',), opened=('cupboard',)),
             Wish(zones=('fridge',), opened=('fridge',))),
    'put': (Wish(zones=('free',)), Wish(zones=('sink',)), Wish(zones=('hob',)),
            Wish(zones=('fridge',), opened=('fridge',)),
            Wish(zones=('board',), things=(('bowl', 'plate'), ('apple', 'lemon', 'tomato')))),
    'pour': (Wish(zones=('free',), things=(('bottle', 'carton', 'kettle'),
                                           ('mug', 'glass', 'bowl'))),
             Wish(zones=('hob', 'free'), things=(('bottle', 'carton', 'kettle'),
                                                 ('pot', 'pan')))),
    'cut': (Wish(zones=('board', 'free'), things=(_that('cut'), ('knife',))),),
    'stir': (Wish(zones=('free',), things=(('bowl',), _that('stir_with'))),
             Wish(zones=('hob', 'free'), things=(('pot', 'pan'), _that('stir_with')))),
    'wash': (Wish(zones=('sink', 'free'), things=(_that('wash'), _that('wash')),
                  opened=('tap',)),),
    'turn on': (Wish(zones=('sink',), shut=('tap',)), Wish(zones=('hob',), shut=('hob',))),
    'turn off': (Wish(zones=('sink',), opened=('tap',)), Wish(zones=('hob',), opened=('hob',))),
    'push': (Wish(zones=('free',), things=(_that('push'),)),),
    'wipe': (Wish(zones=('free',), things=(('sponge', 'cloth'),), stain=True),
             Wish(zones=('hob', 'free'), things=(('sponge', 'cloth'),), stain=True)),
    'turn over': (Wish(zones=('free',), things=(_that('turn_over'),)),),
    'shake': (Wish(zones=('free',), things=(_that('shake'),)),),
})
