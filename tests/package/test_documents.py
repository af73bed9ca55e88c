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

"""The README's tables against the code and against live nodes."""

from pathlib import Path
import re
import subprocess
import sys
import time
from types import SimpleNamespace

from lego_ros.leap.stream import Sight
from lego_ros.nodes.lego_node import LegoNode
from lego_ros.nodes.program_node import ProgramNode
from lego_ros.nodes.recognition_node import RecognitionNode
from lego_ros.runtime.instant_model import InstantModel
import pytest
import rclpy

ROOT = Path(__file__).parents[2]
README = (ROOT / 'README.md').read_text(encoding='utf-8')


def test_generated_tables_are_up_to_date():
    result = subprocess.run(
        [sys.executable, ROOT / 'tools/readme_tables.py', '--check'],
        capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stderr


def test_both_commands_stand_at_the_top():
    top = README[:600]
    assert 'make demo' in top
    assert 'make test' in top


def make_recognition_node(context):
    watcher = SimpleNamespace(task='recognition', name='stand-in', warm_up=lambda: None,
                              sight=Sight(clips=1, span=10**9, frames=1, side=8))
    return RecognitionNode(load_watchers=lambda *_: (watcher,), context=context)


@pytest.fixture(params=[
    lambda context: LegoNode(load_model=lambda *_: InstantModel(), context=context),
    lambda context: ProgramNode(load_model=lambda *_: InstantModel(), context=context),
    make_recognition_node], ids=['lego', 'program', 'recognition'])
def node(request):
    context = rclpy.Context()
    context.init()
    node = request.param(context)
    yield node
    node.destroy_node()
    context.shutdown()


def topics_of(node):
    """List what the graph knows of a node: direction, name, type."""
    name, namespace = node.get_name(), node.get_namespace()
    published = node.get_publisher_names_and_types_by_node(name, namespace)
    subscribed = node.get_subscriber_names_and_types_by_node(name, namespace)
    # What every lifecycle node has, and the second transport, of which only one is subscribed to.
    common = ('parameter_events', 'rosout', 'transition_event', '_action/')
    found = {
        (direction, topic.strip('/'), kinds[0])
        for direction, topics in (('out', published), ('in', subscribed))
        for topic, kinds in topics if not any(word in topic for word in common)}
    found.add(('in', 'image/compressed', 'sensor_msgs/msg/CompressedImage'))
    if hasattr(node, '_queries'):
        kind = type(node._queries)
        found.add(('action', kind.action_name, f'lego_ros/action/{kind.action.__name__}'))
    return found


def test_topic_table_names_what_the_node_has(node):
    assert node.trigger_configure()
    assert node.trigger_activate()
    section = README.split(f'\n## {node.get_name()}\n')[1].split('\n## ')[0]
    rows = re.findall(r'^\| (in|out|action) \| `([^`]+)` \| `([^`]+)` \|', section, re.MULTILINE)
    documented = {
        (direction, name.replace('~/', f'{node.get_name()}/').strip('/'), kind)
        for direction, name, kind in rows}
    # The middleware learns of a node's own topics in a thread of its own.
    deadline = time.monotonic() + 10
    while (found := topics_of(node)) != documented and time.monotonic() < deadline:
        time.sleep(0.05)
    node.close()
    assert documented == found


def test_files_that_documents_name_exist():
    for document in ('README.md', 'docs/architecture.md', 'QUALITY_DECLARATION.md'):
        folder = (ROOT / document).parent
        text = (ROOT / document).read_text(encoding='utf-8')
        for target in re.findall(r'\]\((?!http)([^)#]+)\)', text):
            assert (folder / target).exists(), f'{document} links to {target}'
