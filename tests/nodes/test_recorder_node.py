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

"""recorder_node over real rclpy; what it writes is read back by rosbags and by mcap."""

from __future__ import annotations

import os
from pathlib import Path
import resource
import signal
import threading

from diagnostic_msgs.msg import DiagnosticArray
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.msg import ActionQuery
from lego_ros.nodes.recorder_node import PARAMETERS, RecorderNode
from lego_ros.ros.bag_writer import BagWriter, Limits
from lego_ros.ros.diagnostics import ERROR
from lego_ros.ros.qos import LATCHED_QOS, RESULT_QOS
from lego_ros.ros.type_store import interface_store
from mcap.reader import make_reader
import pytest
from rclpy.exceptions import InvalidParameterValueException
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from rclpy.time import Time
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import Reader
from rosgraph_msgs.msg import Clock
from std_msgs.msg import String, UInt8MultiArray
import yaml

pytestmark = pytest.mark.ros


def read(path):
    """Read a bag by rosbags and by mcap, and see that they agree."""
    with Reader(path) as reader:
        found = [(connection.topic, stamp, bytes(data))
                 for connection, stamp, data in reader.messages(reader.connections)]
        connections = {each.topic: each for each in reader.connections}
    with (path / f'{path.name}.mcap').open('rb') as stream:
        independent = [(channel.topic, message.log_time, message.data, schema.name)
                       for schema, channel, message in make_reader(
                           stream, validate_crcs=True).iter_messages()]
    assert sorted(found) == sorted(each[:3] for each in independent)
    assert {(each[0], each[3]) for each in independent} <= {
        (topic, each.msgtype) for topic, each in connections.items()}
    return found, connections


def words(count):
    """Serialise words, as the padding of a second serialisation need not be the same."""
    return [serialize_message(String(data=f'word {index}')) for index in range(count)]


@pytest.fixture
def talker(ros):
    return ros.node('talker')


def test_bytes_stamps_and_types(ros, talker, tmp_path):
    path = tmp_path / 'deep' / 'bag'
    recorder = ros.start(RecorderNode, {
        'path': str(path), 'topics': ['words', 'action_query', '/absolute', 'silent']},
        namespace='robot')
    publishers = [talker.create_publisher(String, '/robot/words', RESULT_QOS),
                  talker.create_publisher(ActionQuery, '/robot/action_query', RESULT_QOS),
                  talker.create_publisher(String, '/absolute', RESULT_QOS)]
    ros.wait(lambda: all(each.get_subscription_count() for each in publishers))
    query = ActionQuery(query_id='q1', text='how do I öpen it?', confidence=0.5)
    query.header.stamp.sec = 12
    before = recorder.get_clock().now().nanoseconds
    sent = []
    for word in words(5):
        publishers[0].publish(word)
        sent.append(('/robot/words', word))
        ros.wait(lambda: len(sent) == sum(
            each.written for each in recorder._writer.counts.values()))
    sent += [('/robot/action_query', serialize_message(query)),
             ('/absolute', serialize_message(String(data='a')))]
    publishers[1].publish(sent[-2][1])
    publishers[2].publish(sent[-1][1])
    ros.wait(lambda: recorder._writer.counts['/absolute'].written
             and recorder._writer.counts['/robot/action_query'].written)
    after = recorder.get_clock().now().nanoseconds
    ros.stop(recorder)

    found, connections = read(path)
    assert sorted((topic, data) for topic, _, data in found) == sorted(sent)
    assert all(before <= stamp <= after for _, stamp, _ in found)
    assert [data for topic, _, data in found if topic == '/robot/words'] == [
        data for topic, data in sent if topic == '/robot/words']
    assert set(connections) == {'/robot/words', '/robot/action_query', '/absolute'}
    connection = connections['/robot/action_query']
    store = interface_store([connection.msgtype])
    assert connection.digest == store.hash_rihs01('lego_ros/msg/ActionQuery')
    raw = next(data for topic, _, data in found if topic == '/robot/action_query')
    message = store.deserialize_cdr(raw, connection.msgtype)
    assert (message.text, message.header.stamp.sec) == ('how do I öpen it?', 12)
    assert 'string<=64 query_id' in connection.msgdef.data
    assert 'MSG: std_msgs/Header' in connection.msgdef.data


def test_hash_in_the_bag_is_that_on_the_wire(ros, talker, tmp_path):
    talker.create_publisher(ActionQuery, 'action_query', RESULT_QOS)
    recorder = ros.start(RecorderNode, {
        'path': str(tmp_path / 'bag'), 'topics': ['action_query']})
    ros.wait(lambda: recorder._recorded)
    info = recorder.get_publishers_info_by_topic('/action_query')[0]
    if not hasattr(info, 'topic_type_hash'):
        pytest.skip('this rclpy (Humble) tells no type hashes')
    ros.stop(recorder)
    assert str(info.topic_type_hash) == read(tmp_path / 'bag')[1]['/action_query'].digest


def test_latched_messages_from_before_the_recording(ros, talker, tmp_path):
    publisher = talker.create_publisher(String, 'latched', LATCHED_QOS)
    said = serialize_message(String(data='said before'))
    publisher.publish(said)
    recorder = ros.start(RecorderNode, {'path': str(tmp_path / 'bag'), 'topics': ['latched']})
    ros.wait(lambda: recorder._writer.counts
             and recorder._writer.counts['/latched'].written == 1)
    ros.stop(recorder)
    found, connections = read(tmp_path / 'bag')
    assert [data for _, _, data in found] == [said]
    qos = connections['/latched'].ext.offered_qos_profiles[0]
    assert qos.durability == QosDurability.TRANSIENT_LOCAL
    assert qos.reliability == QosReliability.RELIABLE


def test_publishers_of_every_quality_are_heard(ros, talker, tmp_path):
    strict = talker.create_publisher(String, 'words', LATCHED_QOS)

    class Attentive(RecorderNode):

        def _receive(self, topic, data):
            all_heard.add(data)
            super()._receive(topic, data)
    all_heard = set()
    recorder = ros.start(Attentive, {'path': str(tmp_path / 'bag'), 'topics': ['words']})
    ros.wait(lambda: recorder._recorded)
    assert recorder._recorded['/words'].qos.reliability == ReliabilityPolicy.RELIABLE
    loose = talker.create_publisher(String, 'words', QoSProfile(
        depth=10, reliability=ReliabilityPolicy.BEST_EFFORT))
    ros.wait(lambda: loose.get_subscription_count() and strict.get_subscription_count())
    qos = recorder._recorded['/words'].qos
    assert qos.reliability == ReliabilityPolicy.BEST_EFFORT
    assert qos.durability == DurabilityPolicy.VOLATILE
    # Best effort may lose one on the way, so each is said until it was heard.
    for publisher, text in ((strict, 'strict'), (loose, 'loose')):
        said = serialize_message(String(data=text))

        def heard(publisher=publisher, said=said):
            publisher.publish(said)
            return said in all_heard
        ros.wait(heard)
    ros.stop(recorder)
    found, _ = read(tmp_path / 'bag')
    assert {data for _, _, data in found} == all_heard
    assert len(all_heard) == 2


def test_simulated_time_stamps_the_messages(ros, talker, tmp_path):
    clock = talker.create_publisher(Clock, '/clock', 10)
    publisher = talker.create_publisher(String, 'words', RESULT_QOS)
    recorder = ros.start(RecorderNode, {
        'path': str(tmp_path / 'bag'), 'topics': ['words'], 'use_sim_time': True})
    ros.wait(lambda: clock.get_subscription_count())

    def started():
        # Discovery runs on the node's timer, so on simulated time.
        started.now += 10**8
        clock.publish(Clock(clock=Time(nanoseconds=started.now).to_msg()))
        return recorder._recorded and publisher.get_subscription_count()
    started.now = 5 * 10**9
    ros.wait(started)
    ros.wait(lambda: recorder.get_clock().now().nanoseconds == started.now)
    publisher.publish(String(data='a'))
    ros.wait(lambda: recorder._writer.counts['/words'].written)
    ros.stop(recorder)
    assert [stamp for _, stamp, _ in read(tmp_path / 'bag')[0]] == [started.now]


def test_existing_path_is_refused_and_left_alone(ros, tmp_path):
    (tmp_path / 'bag').mkdir()
    (tmp_path / 'bag' / 'precious').write_text('yes')
    with pytest.raises(LegoError, match='exists') as caught:
        ros.start(RecorderNode, {'path': str(tmp_path / 'bag')})
    assert caught.value.code == ErrorCode.RECORDING_FAILED
    assert [path.name for path in (tmp_path / 'bag').iterdir()] == ['precious']


def test_folder_that_cannot_be_made(ros, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(LegoError) as caught:
        ros.start(RecorderNode, {'path': str(tmp_path / 'file' / 'bag')})
    assert caught.value.code == ErrorCode.RECORDING_FAILED


@pytest.mark.parametrize(('name', 'value'), [
    ('max_bytes', -1), ('max_duration', float('inf')), ('queue_bytes', 0)])
def test_parameters_out_of_range(ros, tmp_path, name, value):
    with pytest.raises(InvalidParameterValueException, match=name):
        ros.start(RecorderNode, {'path': str(tmp_path / 'bag'), name: value})
    assert not (tmp_path / 'bag').exists()


@pytest.mark.parametrize('topics', [['not a topic'], ['ok', '']])
def test_topics_that_are_none(ros, tmp_path, topics):
    with pytest.raises(LegoError, match='no topic name') as caught:
        ros.start(RecorderNode, {'path': str(tmp_path / 'bag'), 'topics': topics})
    assert caught.value.code == ErrorCode.INVALID_SETTING
    assert not (tmp_path / 'bag').exists()


def test_parameter_file_is_the_table():
    path = Path(__file__).parents[2] / 'config' / 'recorder.yaml'
    content = yaml.safe_load(path.read_text())['/**']['ros__parameters']
    assert content == {entry.name: entry.default for entry in PARAMETERS}


def test_unknown_type_does_not_stop_the_others(ros, talker, tmp_path, monkeypatch):
    reports = []
    talker.create_subscription(DiagnosticArray, '/diagnostics', reports.append, 10)
    # A type whose Python module is there, but whose definition is not installed.
    monkeypatch.setattr('lego_ros.ros.type_store.sys.prefix', str(tmp_path))
    monkeypatch.delenv('AMENT_PREFIX_PATH', raising=False)
    odd = talker.create_publisher(ActionQuery, 'odd', RESULT_QOS)
    recorder = ros.start(RecorderNode, {
        'path': str(tmp_path / 'bag'), 'topics': ['odd', 'words']})
    ros.wait(lambda: recorder._refused)
    monkeypatch.undo()
    publisher = talker.create_publisher(String, 'words', RESULT_QOS)
    ros.wait(publisher.get_subscription_count)
    publisher.publish(String(data='a'))
    ros.wait(lambda: recorder._writer.counts['/words'].written)
    ros.wait(lambda: any('ActionQuery' in array.status[0].message for array in reports))
    assert odd.get_subscription_count() == 0
    ros.stop(recorder)
    assert [topic for topic, _, _ in read(tmp_path / 'bag')[0]] == ['/words']


class TestWriter:
    """The writer without a node."""

    @pytest.fixture
    def make(self, tmp_path):
        writers = []

        def make(**limits):
            writers.append(BagWriter(tmp_path / 'bag', Limits(
                **{'queue_bytes': 10**9, **limits})))
            writers[-1].add_topic('/words', 'std_msgs/msg/String', [RESULT_QOS])
            return writers[-1]
        yield make
        for writer in writers:
            writer.close()

    def test_too_small_a_queue_drops_and_counts(self, make, tmp_path):
        data = serialize_message(String(data='x' * 100))
        writer = make(queue_bytes=3 * len(data))
        # The disk is busy: nothing is written while this is held.
        with writer._writing:
            for stamp in range(10):
                writer.write('/words', 1000 + stamp, data)
            counts = writer.counts['/words']
            # One may be in the writer's hands already.
            assert counts.dropped in (6, 7)
            assert writer.queued_bytes <= 3 * len(data)
        writer.close()
        found, _ = read(tmp_path / 'bag')
        assert len(found) == counts.written == 10 - counts.dropped
        assert writer.dropped == counts.dropped

    def test_a_message_larger_than_the_queue_is_written(self, make, tmp_path):
        writer = make(queue_bytes=1)
        writer.write('/words', 1, serialize_message(String(data='x' * 1000)))
        writer.close()
        assert len(read(tmp_path / 'bag')[0]) == 1

    @pytest.mark.parametrize(('limits', 'kept'), [
        ({'max_bytes': 300}, 2), ({'max_duration': 2.5}, 3), ({}, 10)])
    def test_limits_close_the_bag(self, make, tmp_path, limits, kept):
        data = serialize_message(String(data='x' * 100))
        assert 100 < len(data) < 150
        writer = make(**limits)
        for second in range(10):
            writer.write('/words', second * 10**9, data)
        if limits:
            writer._thread.join(10)
            assert writer.complete
        writer.close()
        assert [stamp for _, stamp, _ in read(tmp_path / 'bag')[0]] == [
            second * 10**9 for second in range(kept)]
        assert writer.dropped == 0
        assert writer.failure is None

    def test_nothing_recorded_is_a_readable_bag(self, make, tmp_path):
        make().close()
        found, connections = read(tmp_path / 'bag')
        assert found == []
        assert set(connections) == {'/words'}

    def test_full_disk_stops_the_recording_and_keeps_what_was_written(self, make, tmp_path):
        writer = make()
        writer.add_topic('/bytes', 'std_msgs/msg/UInt8MultiArray', [RESULT_QOS])
        data = serialize_message(UInt8MultiArray(data=os.urandom(400_000)))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        # The kernel refuses to let any file of this process grow further, as a full disk does.
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, hard))
        try:
            for stamp in range(20):
                writer.write('/bytes', stamp, data)
            writer._thread.join(10)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert writer.failure.code == ErrorCode.RECORDING_FAILED
        assert str(tmp_path / 'bag') in writer.failure.message
        counts = writer.counts['/bytes']
        assert counts.dropped > 0
        writer.write('/bytes', 99, data)
        assert counts.written + counts.dropped >= 20
        writer.close()
        # Whole chunks that reached the disk are found by reading the file from its beginning.
        content = (tmp_path / 'bag' / 'bag.mcap').read_bytes()
        assert data in content

    def test_topics_may_come_while_others_are_written(self, make, tmp_path):
        writer = make()
        data = serialize_message(String(data='x'))
        stop = threading.Event()

        def flood():
            stamp = 0
            while not stop.wait(0.0002):
                stamp += 1
                writer.write('/words', stamp, data)
        thread = threading.Thread(target=flood)
        thread.start()
        for index in range(20):
            writer.add_topic(f'/t{index}', 'std_msgs/msg/String', [RESULT_QOS])
            writer.write(f'/t{index}', 10**6, data)
        stop.set()
        thread.join()
        writer.close()
        found, connections = read(tmp_path / 'bag')
        assert len(connections) == 21
        assert {topic for topic, _, _ in found} == set(connections)


def test_diagnostics_tell_of_a_failed_recording(ros, talker, tmp_path):
    reports = []
    talker.create_subscription(DiagnosticArray, '/diagnostics', reports.append, 10)
    publisher = talker.create_publisher(String, 'words', RESULT_QOS)
    recorder = ros.start(RecorderNode, {'path': str(tmp_path / 'bag'), 'topics': ['words']})
    ros.wait(lambda: publisher.get_subscription_count() and recorder._recorded)
    # The file is closed under the writer, as by a stick that is pulled.
    recorder._writer._writer.storage.bio.close()
    big = String(data='x' * 3_000_000)
    publisher.publish(big)
    ros.wait(lambda: any(array.status[0].level == ERROR for array in reports))
    status = next(array.status[0] for array in reports if array.status[0].level == ERROR)
    assert 'RECORDING_FAILED' in status.message
    # The node lives, and says so until it is asked to end.
    count = len(reports)
    ros.wait(lambda: len(reports) > count)
    ros.stop(recorder)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_whole_bag(ros, talker, start_process, tmp_path, number):
    path = tmp_path / 'bag'
    process = start_process('lego_ros.nodes.recorder_node', {
        'path': path, 'topics': '[words]'})
    publisher = talker.create_publisher(String, 'words', QoSProfile(depth=200))
    ros.wait(publisher.get_subscription_count, 'the recorder did not subscribe')
    for word in words(100):
        publisher.publish(word)
    # What the process has taken it tells once a second.
    reports = []
    talker.create_subscription(DiagnosticArray, '/diagnostics', reports.append, 10)
    ros.wait(lambda: any(each.key == '/words written' and each.value == '100'
                         for array in reports for each in array.status[0].values))
    process.send_signal(number)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 0
    assert 'Traceback' not in error
    found, _ = read(path)
    # The wire pads messages to whole words.
    assert [deserialize_message(data, String).data for _, _, data in found] == [
        f'word {index}' for index in range(100)]
    assert '/words: 100 written, 0 dropped' in error
    assert Path(path, 'metadata.yaml').is_file()


def test_process_refuses_an_existing_path(start_process, tmp_path):
    process = start_process('lego_ros.nodes.recorder_node', {'path': tmp_path})
    _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    assert 'RECORDING_FAILED' in error
    assert 'Traceback' not in error
