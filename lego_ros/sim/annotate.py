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

"""Labels, narrations and descriptions of actions, every word of which is true."""

from __future__ import annotations

from dataclasses import dataclass

from lego_ros.sim.actions import Choice
from lego_ros.sim.layout import Fixture, Spot
from lego_ros.sim.script import Script
from lego_ros.sim.vocabulary import VERBS
import numpy as np

_SPOTS = {'board': 'on the chopping board', 'hob': 'on the hob', 'sink': 'in the sink'}


@dataclass(frozen=True)
class Annotation:
    """
    What people would say about an action.

    :param label: ``open left drawer``.
    :param narration: ``#C C opens the left drawer``, as in Ego4D.
    :param description: one sentence with hand and places.
    """

    label: str
    narration: str
    description: str


def surface_name(noun: str) -> str:
    """
    Write a fixture's noun as people say it.

    :param noun: from FIXTURES or of a thing.
    :returns: ``chopping board`` for ``board``, others as they are.
    """
    return 'chopping board' if noun == 'board' else noun


class Places:
    """
    Says where things are, from the present state of a script.

    :param script: read only.
    """

    def __init__(self, script: Script) -> None:
        self._script = script
        self._layout = script.scene.layout

    def fixture(self, fixture: Fixture) -> str:
        """
        Say where a drawer, door, tap or the hob's knob is.

        :param fixture: which.
        :returns: a phrase that begins with a preposition, or ''.
        """
        if fixture.noun == 'tap':
            return 'behind the sink'
        if fixture.noun == 'hob':
            return 'in front of the hob'
        if fixture.noun == 'fridge':
            return f'to the {self._layout.fridge} of the counter'
        x = float(fixture.pivot[0]) - (float(fixture.axis[2]) * 0.18
                                       if fixture.noun == 'cupboard' else 0.0)
        below = 'below' if fixture.noun == 'drawer' else 'above'
        named = [(abs(zone_x - x), kind) for kind, zone_x in self._layout.zones
                 if kind != 'free' and abs(zone_x - x) < 0.17]
        return f'{below} the {surface_name(min(named)[1])}' if named else f'{below} the counter'

    def spot(self, spot: Spot, ignored: str) -> str:
        """
        Say where a place is.

        :param spot: the place.
        :param ignored: the thing that is or will be there.
        :returns: ``on the chopping board``, ``to the left of the mug``, ...
        """
        if spot.row in _SPOTS:
            return _SPOTS[spot.row]
        if spot.inside:
            return f'in the open {self._layout.fixtures[spot.inside].phrase}'
        return self._beside(spot, ignored) or f'on the {self._third(spot)} of the counter'

    def thing(self, noun: str) -> str:
        """
        Say where a thing is.

        :param noun: the thing.
        :returns: a phrase that begins with a preposition.
        """
        world = self._script.world
        place = world.at[noun]
        if place in world.at:
            return f'{into(place, noun)} the {place}'
        holder = world.holder(noun)
        return f'in the {holder} hand' if holder else self.spot(self._layout.spots[place], noun)

    def _third(self, spot: Spot) -> str:
        x = float(spot.pos[0])
        return 'left side' if x < -0.15 else 'right side' if x > 0.15 else 'middle'

    def _beside(self, spot: Spot, ignored: str) -> str:
        """Relate to the nearest thing or fixture on the counter, where the relation is clear."""
        world = self._script.world
        marks = [(f'the {noun}', self._script.pose(noun).pos) for noun in world.at
                 if noun != ignored and world.on_counter(noun)]
        marks += [(f'the {surface_name(kind)}', np.array([x, 0.56, 0.0]))
                  for kind, x in self._layout.zones if kind in ('sink', 'hob')]
        best, phrase = 0.36, ''
        for name, pos in marks:
            dx, dy = float(spot.pos[0] - pos[0]), float(spot.pos[1] - pos[1])
            far = float(np.hypot(dx, dy))
            if far >= best or max(abs(dx), abs(dy)) < 1.6 * min(abs(dx), abs(dy)):
                continue
            if abs(dx) > abs(dy):
                words = f'to the {"left" if dx < 0 else "right"} of'
            else:
                words = 'in front of' if dy < 0 else 'behind'
            best, phrase = far, f'{words} {name}'
        return phrase


def into(container: str, noun: str) -> str:
    """
    Choose the preposition for a thing in or on another.

    :param container: what it lies in.
    :param noun: what lies there.
    :returns: ``in`` or ``on``.
    """
    return 'on' if container == 'plate' or noun == 'lid' else 'in'


class Annotator:
    """
    Writes an action's texts; to be asked before the action is written into the script.

    :param script: at the action's first frame.
    :param rng: chooses the wording.
    """

    def __init__(self, script: Script, rng: np.random.Generator) -> None:
        self._script = script
        self._rng = rng
        self._places = Places(script)

    def annotate(self, choice: Choice) -> Annotation:
        """
        Say what will be done.

        :param choice: the action.
        :returns: its texts.
        """
        verb = VERBS[choice.verb]
        noun = surface_name(choice.noun)
        write = getattr(self, '_' + choice.verb.replace(' ', '_'))
        tail = self._tail(choice)
        return Annotation(f'{verb.lemma} {noun}',
                          f'#C C {verb.third} the {noun}{" " + tail if tail else ""}',
                          f'The person {write(choice)}.')

    def _pick(self, *texts: str) -> str:
        return texts[int(self._rng.integers(len(texts)))]

    def _tail(self, choice: Choice) -> str:
        if choice.verb == 'pour':
            return f'into the {choice.target}'
        if choice.verb == 'put':
            return self._destination(choice)
        if choice.verb in ('cut', 'wipe'):
            return f'with the {choice.tool}'
        return ''

    def _destination(self, choice: Choice) -> str:
        world = self._script.world
        if choice.place in world.at:
            return f'{into(choice.place, choice.noun)} the {choice.place}'
        spot = self._script.scene.layout.spots[choice.place]
        if spot.row in ('near', 'far'):
            return 'on the counter'
        return self._places.spot(spot, choice.noun)

    def _with_tool(self, choice: Choice, noun: str) -> str:
        """Say how the hand comes to hold what it works with."""
        hand = choice.hand
        if self._script.world.holder(noun):
            return self._pick(f'holds the {noun} in the {hand} hand',
                              f'keeps the {noun} in the {hand} hand')
        where = self._places.thing(noun)
        return self._pick(f'takes the {noun} {where} with the {hand} hand',
                          f'picks up the {noun} {where} with the {hand} hand',
                          f'grasps the {noun} {where} with the {hand} hand')

    def _open(self, choice: Choice) -> str:
        fixture = self._script.scene.layout.fixtures[choice.target]
        where, hand, noun = self._places.fixture(fixture), choice.hand, choice.noun
        if fixture.noun == 'drawer':
            return self._pick(
                f'reaches with the {hand} hand to the handle of the {noun} {where} and pulls it '
                'open towards the body',
                f'opens the {noun} {where} by pulling its handle towards the body with the '
                f'{hand} hand',
                f'hooks the fingers of the {hand} hand over the handle of the {noun} {where} and '
                'slides it open')
        return self._pick(
            f'reaches with the {hand} hand to the handle of the {noun} {where} and swings the '
            f'door open to the {hand}',
            f'opens the {noun} {where} by pulling the upright handle of its door with the '
            f'{hand} hand')

    def _close(self, choice: Choice) -> str:
        fixture = self._script.scene.layout.fixtures[choice.target]
        where, hand, noun = self._places.fixture(fixture), choice.hand, choice.noun
        if fixture.noun == 'drawer':
            return self._pick(
                f'reaches with the {hand} hand to the handle of the open {noun} {where} and '
                'closes it by pushing it away from the body',
                f'closes the {noun} {where} by pushing its handle with the {hand} hand')
        return self._pick(
            f'takes the handle of the open {noun} {where} with the {hand} hand and swings the '
            'door closed',
            f'closes the {noun} {where} by pushing its door shut with the {hand} hand')

    def _turn_on(self, choice: Choice) -> str:
        return self._turning(choice, 'on', {
            'tap': 'so that water runs into the sink', 'hob': 'so that it glows red'})

    def _turn_off(self, choice: Choice) -> str:
        return self._turning(choice, 'off', {
            'tap': 'so that the water stops', 'hob': 'so that it no longer glows'})

    def _turning(self, choice: Choice, way: str, effects: dict[str, str]) -> str:
        fixture = self._script.scene.layout.fixtures[choice.target]
        part = 'lever of the tap' if fixture.noun == 'tap' else 'knob in front of the hob'
        back = ' behind the sink' if fixture.noun == 'tap' else ''
        hand, effect = choice.hand, effects[fixture.noun]
        return self._pick(
            f'turns the {fixture.noun} {way} by turning the {part}{back} with the {hand} hand '
            f'{effect}',
            f'reaches with the {hand} hand to the {part}{back} and turns the {fixture.noun} {way}')

    def _take(self, choice: Choice) -> str:
        where, hand, noun = self._places.thing(choice.target), choice.hand, choice.noun
        return self._pick(
            f'reaches with the {hand} hand to the {noun} {where} and takes it',
            f'takes the {noun} {where} with the {hand} hand and lifts it up',
            f'grasps the {noun} {where} with the {hand} hand, takes it and holds it before the '
            'body')

    def _put(self, choice: Choice) -> str:
        hand, noun, where = choice.hand, choice.noun, self._destination(choice)
        spots = self._script.scene.layout.spots
        more = ''
        if where == 'on the counter':
            more = self._places.spot(spots[choice.place], noun)
            more = '' if more.endswith('counter') else f' {more}'
        return self._pick(
            f'puts the {noun} {where}{more} with the {hand} hand',
            f'lowers the {hand} hand with the {noun} and puts it down {where}{more}',
            f'puts the {noun} from the {hand} hand {where}{more} and lets it go')

    def _push(self, choice: Choice) -> str:
        hand, noun, where = choice.hand, choice.noun, self._places.thing(choice.target)
        way = 'away from the body' if choice.way == 'away' else f'to the {choice.way}'
        return self._pick(
            f'pushes the {noun} {where} {way} over the counter with the flat {hand} hand',
            f'lays the {hand} hand against the {noun} {where} and pushes it {way}')

    def _turn_over(self, choice: Choice) -> str:
        hand, noun, where = choice.hand, choice.noun, self._places.thing(choice.target)
        return self._pick(
            f'grasps the {noun} {where} with the {hand} hand, turns it over and sets it upside '
            'down on the counter',
            f'lifts the {noun} {where} with the {hand} hand and turns it over so that it stands '
            'upside down')

    def _shake(self, choice: Choice) -> str:
        grasp = self._with_tool(choice, choice.target)
        if choice.noun == 'shaker':
            return self._pick(f'{grasp}, turns it upside down and shakes it over the counter',
                              f'{grasp} and shakes it upside down so that grains fall out')
        return self._pick(f'{grasp} and shakes it up and down above the counter',
                          f'{grasp} and shakes it in the air before the body')

    def _pour(self, choice: Choice) -> str:
        grasp, target = self._with_tool(choice, choice.tool), choice.target
        where = self._places.thing(target)
        return self._pick(
            f'{grasp}, tilts it over the {target} {where} and pours {choice.noun} into it',
            f'{grasp} and pours the {choice.noun} into the {target} {where}')

    def _cut(self, choice: Choice) -> str:
        grasp, noun = self._with_tool(choice, 'knife'), choice.noun
        other = 'left' if choice.hand == 'right' else 'right'
        return self._pick(
            f'{grasp}, steadies the {noun} on the chopping board with the {other} hand and cuts '
            'it in two',
            f'{grasp} and cuts the {noun} on the chopping board in half while the {other} hand '
            'holds it')

    def _stir(self, choice: Choice) -> str:
        grasp, target = self._with_tool(choice, choice.tool), choice.target
        where = self._places.thing(target)
        return self._pick(f'{grasp}, dips it into the {target} {where} and stirs in circles',
                          f'{grasp} and stirs in the {target} {where}')

    def _wash(self, choice: Choice) -> str:
        grasp = self._with_tool(choice, choice.target)
        return self._pick(f'{grasp} and washes it under the running tap',
                          f'{grasp}, holds it over the sink and washes it in the water of the tap')

    def _wipe(self, choice: Choice) -> str:
        grasp, noun = self._with_tool(choice, choice.tool), surface_name(choice.noun)
        return self._pick(f'{grasp} and wipes the spill off the {noun}',
                          f'{grasp}, presses it onto the {noun} and wipes from side to side')
