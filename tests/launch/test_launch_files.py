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
The launch files and the parameter files that they give to the nodes.

launch and launch_ros are not on PyPI: where they are missing, the files are read, not run.
"""

import ast
import importlib.util
from itertools import pairwise
from pathlib import Path
import re
import subprocess
import sys

from lego_ros.cli import make_parser
from lego_ros.cli.engine import run_build
from lego_ros.nodes import camera_node, recorder_node
from lego_ros.nodes.parameters import (
    LEGO_PARAMETERS,
    PROGRAM_PARAMETERS,
    RECOGNITION_PARAMETERS,
)
import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / 'launch').glob('*.launch.py'))
SHARED = ROOT / 'lego_ros' / 'ros' / 'launching.py'
ANSWERING = {entry.name: entry for entry in (
    *LEGO_PARAMETERS, *PROGRAM_PARAMETERS)}
TABLES = {
    'lego_node': LEGO_PARAMETERS,
    'camera_node': camera_node.PARAMETERS,
    'recorder_node': recorder_node.PARAMETERS,
    'recognition_node': RECOGNITION_PARAMETERS,
}
TYPES = {'str': str, 'bool': bool, 'int': int, 'float': float}

needs_launch = pytest.mark.skipif(
    importlib.util.find_spec('launch_ros') is None, reason='launch_ros is not installed')


def calls(path, name):
    """Find the calls of a function in a file."""
    tree = ast.parse(path.read_text(encoding='utf-8'), feature_version=(3, 10))
    return [node for node in ast.walk(tree)
            if isinstance(node, ast.Call) and getattr(node.func, 'id', None) == name]


def keywords(call):
    return {entry.arg: entry.value for entry in call.keywords if entry.arg}


def declared(path):
    """Find the launch arguments that a file declares itself."""
    return {ast.literal_eval(call.args[0]): keywords(call)
            for call in calls(path, 'DeclareLaunchArgument')}


def nodes(path):
    """Find the nodes of a file: executable, and parameter to launch argument and type."""
    for kind in ('Node', 'LifecycleNode'):
        for call in calls(path, kind):
            settings = next(entry.value for entry in call.keywords if entry.arg is None)
            assert settings.func.id == 'node_settings'
            table = settings.args[1]
            parameters = {
                ast.literal_eval(name): (ast.literal_eval(value.elts[0]), value.elts[1].id)
                for name, value in zip(table.keys, table.values, strict=True)}
            given = {name: ast.literal_eval(value) for name, value in keywords(call).items()
                     if name != 'arguments'}
            yield given, parameters


def test_the_files_are_there():
    assert [path.name for path in FILES] == ['lego.launch.py', 'lego_with_camera.launch.py']


@pytest.mark.parametrize('path', [*FILES, SHARED], ids=lambda path: path.name)
def test_every_argument_is_described_and_has_a_default(path):
    for name, given in declared(path).items():
        assert re.fullmatch('[a-z_]+', name)
        assert ast.literal_eval(given['description']).endswith('.'), name
        if 'choices' in given:
            default = ast.literal_eval(given['default_value'])
            assert default in ast.literal_eval(given['choices']), name
        else:
            assert 'default_value' in given, name


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_arguments_become_parameters_that_the_node_has(path):
    arguments = {**declared(SHARED), **declared(path)}
    found = list(nodes(path))
    assert found
    for node, parameters in found:
        table = {entry.name: entry for entry in TABLES[node['executable']]}
        assert node['package'] == 'lego_ros'
        assert node['name'] == node['executable']
        assert (ROOT / 'lego_ros' / 'nodes' / f'{node["executable"]}.py').is_file()
        for name, (argument, kind) in parameters.items():
            assert argument in arguments
            assert type(table[name].default) is TYPES[kind], name
            choices = arguments[argument].get('choices')
            if choices is not None and kind == 'str':
                assert ast.literal_eval(choices) == ['', *table[name].choices]


def test_installed_programs_are_those_that_are_launched():
    text = (ROOT / 'CMakeLists.txt').read_text()
    installed = set(re.search(r'foreach\(program (.*?)\)', text)[1].split())
    assert {node['executable'] for path in FILES for node, _ in nodes(path)} <= installed
    assert re.search(r'install\(DIRECTORY launch config .*share/', text)


def test_files_that_are_named_exist():
    for path in [*FILES, SHARED]:
        text = path.read_text()
        for name in re.findall(r"CONFIG / '([^']+)'", text):
            assert (ROOT / 'config' / name).is_file()
        for name in re.findall(r"with_name\('([^']+)'\)", text):
            assert (ROOT / 'launch' / name).is_file()
    assert "CONFIG / 'lego.yaml'" in SHARED.read_text()


def test_lego_yaml_is_the_tables_in_their_order():
    text = (ROOT / 'config' / 'lego.yaml').read_text()
    content = yaml.safe_load(text)
    # Only this wildcard is known to Humble's rclpy.
    assert list(content) == ['/**']
    values = content['/**']['ros__parameters']
    expected = {name: entry.default for name, entry in ANSWERING.items()}
    assert list(values.items()) == list(expected.items())
    assert {name: type(value) for name, value in values.items()} == {
        name: type(value) for name, value in expected.items()}


def test_lego_yaml_tells_ranges_and_what_can_change_live():
    text = (ROOT / 'config' / 'lego.yaml').read_text()
    comments = {match[2]: match[1] for match in re.finditer(
        r'((?:^    #.*\n)+)    (\w+):', text, re.MULTILINE)}
    for entry in ANSWERING.values():
        comment = comments[entry.name]
        assert ('Live.' in comment) != entry.read_only, entry.name
        if entry.maximum is not None:
            limit = '2^63 - 1' if entry.maximum == 2**63 - 1 else f'{entry.maximum:g}'
            assert f'{entry.minimum:g} to {limit}' in comment, entry.name
        assert all(choice in comment for choice in entry.choices), entry.name


# --- With the real launch


@pytest.fixture
def launched():
    """Run a launch file up to the processes that it would start."""
    from launch import LaunchContext
    from launch.actions import (
        DeclareLaunchArgument,
        ExecuteProcess,
        IncludeLaunchDescription,
        OpaqueFunction,
    )
    from launch.launch_description_sources import get_launch_description_from_python_launch_file
    from launch_ros.actions import Node

    def walk(entities, context, found):
        for entity in entities:
            if isinstance(entity, Node):
                entity._perform_substitutions(context)
                found.append([
                    ''.join(part.perform(context) for part in word) for word in entity.cmd[1:]])
            elif isinstance(entity, ExecuteProcess):
                found.append([
                    ''.join(part.perform(context) for part in word) for word in entity.cmd])
            elif isinstance(
                    entity, (DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction)):
                walk(entity.visit(context) or [], context, found)
            elif type(entity).__name__ == 'LaunchDescription':
                walk(entity.entities, context, found)
        return found

    def run(name, **arguments):
        context = LaunchContext()
        context.extend_locals({'ros_specific_arguments': {'name': '', 'ns': ''}})
        context.launch_configurations.update(arguments)
        description = get_launch_description_from_python_launch_file(
            str(ROOT / 'launch' / name))
        return walk(description.entities, context, [])

    return run


def parameters_of(command):
    """Merge the parameter files of a command line, as rcl does."""
    merged = {}
    for word, value in pairwise(command):
        if word == '--params-file':
            for section in yaml.safe_load(Path(value).read_text()).values():
                merged.update(section['ros__parameters'])
    return merged


def remappings_of(command):
    return dict(value.split(':=') for word, value in pairwise(command)
                if word == '-r' and ':=' in value)


@needs_launch
def test_nothing_given_leaves_all_but_autostart_to_the_files(launched):
    (command,) = launched('lego.launch.py')
    defaults = {entry.name: entry.default for entry in ANSWERING.values()}
    assert parameters_of(command) == {**defaults, 'autostart': True}
    (command,) = launched('lego.launch.py', autostart='')
    assert parameters_of(command) == defaults
    assert command.count('--params-file') == 1


@needs_launch
def test_what_is_given_goes_before_the_parameter_file(launched, tmp_path):
    file = tmp_path / 'mine.yaml'
    file.write_text('/**: {ros__parameters: {steps: 7, bundle: here, autostart: true}}')
    (command,) = launched(
        'lego.launch.py', params_file=str(file), bundle='123', image_transport='compressed',
        use_sim_time='true', namespace='left', camera='head/image_raw', log_level='debug')
    assert parameters_of(command) == {
        'steps': 7, 'bundle': '123', 'autostart': True, 'image_transport': 'compressed',
        'use_sim_time': True}
    remappings = remappings_of(command)
    assert remappings['image'] == 'head/image_raw'
    assert remappings['image/compressed'] == 'head/image_raw/compressed'
    assert remappings['camera_info'] == 'head/camera_info'
    assert command[command.index('--log-level') + 1] == 'debug'


@needs_launch
def test_how_the_networks_run_is_given_to_lego_node_alone(launched, tmp_path):
    given = {'backend': 'openvino', 'precision': 'bfloat16', 'device': 'cpu',
             'engine_cache': str(tmp_path), 'fallback': 'torch', 'mode': 'fast'}
    camera, lego = launched('lego_with_camera.launch.py', **given)
    assert given.items() <= parameters_of(lego).items()
    assert parameters_of(camera).get('backend') != 'openvino'


@needs_launch
def test_several_cameras_are_one_process(launched):
    (command,) = launched('lego.launch.py', namespaces='head wrist', camera='image_raw')
    own = command[:command.index('--ros-args')][-3:]
    assert own == ['--namespaces', 'head', 'wrist']
    assert not any('__ns:=' in word for word in command)
    # A relative topic: each node's is in its own namespace.
    assert remappings_of(command)['image'] == 'image_raw'
    with pytest.raises(ValueError, match='give one of them'):
        launched('lego.launch.py', namespaces='head wrist', namespace='left')


@needs_launch
@pytest.mark.parametrize('given', [
    {'recognition': 'here'}, {'anticipation': 'there'},
    {'recognition': 'here', 'anticipation': 'there'}])
def test_recognition_is_started_where_a_network_is_given(launched, given):
    lego, recognition = launched(
        'lego.launch.py', namespaces='head wrist', camera='image_raw', **given)
    found = parameters_of(recognition)
    assert {'recognition': '', 'anticipation': '', 'autostart': True, **given}.items() \
        <= found.items()
    assert found['rate'] == 2.0
    for command in (lego, recognition):
        assert command[:command.index('--ros-args')][-3:] == ['--namespaces', 'head', 'wrist']
        assert remappings_of(command)['image'] == 'image_raw'


@needs_launch
@pytest.mark.parametrize('name', [path.name for path in FILES])
def test_build_only_starts_nothing_else(launched, name):
    (command,) = launched(
        name, build_only='true', backend='openvino', precision='bfloat16', bundle='~/my_bundle',
        engine_cache='~/engines', mode='fast')
    assert Path(command[0]).name == 'lego-ros'
    assert command[1:] == [
        'engine', '--cache', str(Path.home() / 'engines'), 'build', '--backend', 'openvino',
        '--precision', 'bfloat16', '--bundle', str(Path.home() / 'my_bundle')]
    # What is not given is left to the command.
    (command,) = launched(name, build_only='true', backend='tensorrt_rtx')
    assert command[1:] == ['engine', 'build', '--backend', 'tensorrt_rtx']


def test_the_command_of_build_only_is_one_that_there_is():
    args = make_parser().parse_args([
        'engine', '--cache', 'x', 'build', '--backend', 'openvino', '--precision', 'bfloat16',
        '--bundle', 'y'])
    assert (args.run, args.bundle) == (run_build, Path('y'))


LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from lego_ros.ros import launching

launching.get_package_prefix = lambda name: sys.argv[2]
service = LaunchService(noninteractive=True)
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
    PythonLaunchDescriptionSource(sys.argv[1]),
    launch_arguments=[('build_only', 'true'), ('backend', 'openvino')])]))
raise SystemExit(service.run())
"""


@needs_launch
@pytest.mark.parametrize(('script', 'status', 'said'), [
    ('print("given", *__import__("sys").argv[1:])', 0,
     'given engine build --backend openvino'),
    ('raise SystemExit(2)', 1, 'engine build ended with status 2')])
def test_the_launch_ends_with_the_command(tmp_path, script, status, said):
    program = tmp_path / 'bin' / 'lego-ros'
    program.parent.mkdir()
    program.write_text(f'#!{sys.executable}\n{script}\n')
    program.chmod(0o755)
    result = subprocess.run(
        [sys.executable, '-c', LAUNCH, str(ROOT / 'launch' / 'lego_with_camera.launch.py'),
         str(tmp_path)], timeout=120, capture_output=True, text=True)
    assert said in result.stdout + result.stderr
    assert result.returncode == status
    assert 'lego_node' not in result.stdout
    assert 'camera_node' not in result.stdout


@needs_launch
def test_camera_and_recorder_come_with_lego_node(launched, tmp_path):
    alone = launched('lego_with_camera.launch.py')
    assert len(alone) == 2
    assert parameters_of(alone[0])['source'] == 'photo'
    assert parameters_of(alone[1])['autostart'] is True
    camera, recorder, lego = launched(
        'lego_with_camera.launch.py', source='7', rate='5', record=str(tmp_path), autostart='',
        camera='/cam/rgb')
    values = parameters_of(camera)
    assert values['source'] == '7'
    assert values['rate'] == 5.0
    assert parameters_of(recorder)['path'] == str(tmp_path)
    assert parameters_of(lego)['autostart'] is False
    for command in (camera, recorder, lego):
        assert remappings_of(command)['camera_info'] == '/cam/camera_info'


@needs_launch
@pytest.mark.parametrize(('arguments', 'error'), [
    ({'params_file': '/no/such.yaml'}, '/no/such.yaml'),
    ({'rate': 'fast'}, 'fast'),
    ({'mode': 'turbo'}, 'turbo'),
    ({'backend': 'tpu'}, 'tpu'),
    ({'build_only': 'true'}, 'backend:='),
    ({'image_transport': 'jpeg'}, 'jpeg')])
def test_bad_arguments_are_refused(launched, arguments, error):
    with pytest.raises((FileNotFoundError, ValueError, RuntimeError), match=error):
        launched('lego_with_camera.launch.py', **arguments)
