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

"""Models that several nodes of a process use: loaded once, freed by the last."""

from __future__ import annotations

import threading

from lego_ros.errors import ErrorCode, LegoError
from lego_ros.runtime.sharing import SharedModels
import pytest


@pytest.fixture
def told():
    return []


@pytest.fixture
def models(told):
    return SharedModels()


def take(models, told, key='model'):
    def load():
        told.append(('load', threading.get_ident()))
        return object()
    return models.take(key, load, lambda loaded: told.append(('free', threading.get_ident())))


def test_it_is_loaded_once_and_freed_by_the_last_in_the_same_thread(models, told):
    one, other = take(models, told), take(models, told)
    assert one == other
    models.give_back('model')
    assert [what for what, _ in told] == ['load']
    assert one[0].call(lambda: 'it still works') == 'it still works'
    models.give_back('model')
    assert [what for what, _ in told] == ['load', 'free']
    assert told[0][1] == told[1][1] != threading.get_ident()
    with pytest.raises(LegoError) as caught:
        one[0].call(lambda: None)
    assert caught.value.code is ErrorCode.NOT_ACTIVE
    # It can be had again.
    assert take(models, told)[1] is not one[1]
    models.give_back('model')


def test_other_choices_are_other_models(models, told):
    assert take(models, told, 'a')[1] is not take(models, told, 'b')[1]
    models.give_back('a')
    models.give_back('b')
    assert [what for what, _ in told] == ['load', 'load', 'free', 'free']


def test_what_cannot_be_loaded_is_not_held(models, told):
    def fail():
        raise LegoError(ErrorCode.BUNDLE_NOT_FOUND, 'nothing there')

    before = threading.active_count()
    with pytest.raises(LegoError, match='nothing there'):
        models.take('model', fail, told.append)
    assert threading.active_count() == before
    assert take(models, told)[1] is not None
    models.give_back('model')


def test_what_cannot_be_freed_is_forgotten(models, told):
    def fail(loaded):
        raise MemoryError

    before = threading.active_count()
    models.take('model', object, fail)
    with pytest.raises(MemoryError):
        models.give_back('model')
    assert threading.active_count() == before
    with pytest.raises(KeyError):
        models.give_back('model')
