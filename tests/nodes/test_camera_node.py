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

"""camera_node over real rclpy: every kind of source, stamps, sizes, clocks, errors."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
import itertools
from pathlib import Path
import signal

import av
import cv2
from diagnostic_msgs.msg import DiagnosticArray
from lego_ros.camera import video as video_module
from lego_ros.camera.opening import open_source
from lego_ros.camera.pacing import PLAYED_SINCE
from lego_ros.camera.webcam import WebcamSource
from lego_ros.errors import ErrorCode, LegoError
from lego_ros.images.compressed import decode_compressed
from lego_ros.images.raw import decode_image
from lego_ros.nodes import camera_node
from lego_ros.nodes.camera_node import CameraNode, complete_size, PARAMETERS
from lego_ros.ros.diagnostics import ERROR
from lego_ros.ros.qos import IMAGE_QOS
from lego_ros.sim.episode import sample_episode
from lego_ros.sim.render import Renderer
import numpy as np
from PIL import Image as PilImage
import pytest
from rclpy.exceptions import InvalidParameterValueException
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import get_typestore, Stores
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
import yaml

pytestmark = pytest.mark.ros

TIMES = (0, 50, 200, 250)


def flat(index):
    return np.full((48, 64, 3), 20 + 50 * index, np.uint8)


def index_of(rgb):
    return round((float(rgb.mean()) - 20) / 50)


def stamp_of(message):
    return Time.from_msg(message.header.stamp).nanoseconds


@pytest.fixture
def video(tmp_path):
    path = tmp_path / 'video.mp4'
    with av.open(str(path), 'w') as container:
        stream = container.add_stream('mpeg4', rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        stream.codec_context.time_base = Fraction(1, 1000)
        for index, time in enumerate(TIMES):
            frame = av.VideoFrame.from_ndarray(flat(index), format='rgb24')
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture
def bag(tmp_path):
    """Make a bag of JPEGs with stamps 5 ms before the recorder's, and a calibration."""
    store = get_typestore(Stores.ROS2_JAZZY)
    header_type = store.types['std_msgs/msg/Header']
    time_type = store.types['builtin_interfaces/msg/Time']
    path = tmp_path / 'bag'
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        name = 'sensor_msgs/msg/CameraInfo'
        connection = writer.add_connection('/eye/camera_info', name, typestore=store)
        writer.write(connection, 10**18, store.serialize_cdr(store.types[name](
            header=header_type(time_type(1, 0), 'eye'), height=48, width=64,
            distortion_model='plumb_bob', d=np.zeros(5),
            k=np.array([40., 0, 30, 0, 41, 20, 0, 0, 1]), r=np.eye(3).ravel(),
            p=np.array([40., 0, 30, 0, 0, 41, 20, 0, 0, 0, 1, 0]), binning_x=0, binning_y=0,
            roi=store.types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False)), name))
        name = 'sensor_msgs/msg/CompressedImage'
        connection = writer.add_connection('/eye/image/compressed', name, typestore=store)
        for index, time in enumerate(TIMES):
            stamp = divmod(10**18 + (time - 5) * 10**6, 10**9)
            data = cv2.imencode('.jpg', flat(index))[1].ravel()
            writer.write(connection, 10**18 + time * 10**6, store.serialize_cdr(
                store.types[name](header_type(time_type(*stamp), 'eye'), 'jpeg', data), name))
    return path


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for index in range(4):
        PilImage.fromarray(flat(index)).save(folder / f'{index}.png')
    return folder


@pytest.fixture
def listen(ros):
    """Subscribe and collect."""
    listener = ros.node('listener')

    def subscribe(kind, topic, qos=IMAGE_QOS):
        received = []
        listener.create_subscription(kind, topic, received.append, qos)
        return received
    return subscribe


@pytest.fixture
def simulated(ros):
    """Start the node and let simulated time go from tick to tick (ms), however busy this is."""
    publisher = ros.node('clock').create_publisher(Clock, '/clock', 10)

    def run(parameters, ticks):
        node = ros.start(CameraNode, {**parameters, 'use_sim_time': True})
        ros.wait(lambda: publisher.get_subscription_count()
                 and node._publishers_of['image'].get_subscription_count())
        for tick in ticks:
            # Read ahead as far as it goes: what is shown depends on nothing but the clock.
            ros.wait(lambda: len(node._playback._waiting) == 4 or node._playback._finished)
            stamp = 7 * 10**9 + tick * 10**6
            publisher.publish(Clock(clock=Time(nanoseconds=stamp).to_msg()))
            ros.wait(lambda stamp=stamp: node.get_clock().now().nanoseconds == stamp)
            for _ in range(5):
                ros.executor.spin_once(timeout_sec=0.001)
        return node
    return run


@pytest.mark.parametrize('kind', ['photo', 'video', 'bag', 'pictures', 'picture'])
@pytest.mark.parametrize('reliability', [
    ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT])
def test_every_kind_of_source_arrives(ros, listen, request, kind, reliability):
    source = {'photo': lambda: 'photo',
              'picture': lambda: request.getfixturevalue('pictures') / '1.png'}.get(
        kind, lambda: request.getfixturevalue(kind))()
    images = listen(Image, 'image', QoSProfile(depth=10, reliability=reliability))
    compressed = listen(CompressedImage, 'image/compressed')
    infos = listen(CameraInfo, 'camera_info', 10)
    node = ros.start(CameraNode, {'source': str(source), 'rate': 20.0})
    before = node.get_clock().now().nanoseconds
    ros.wait(lambda: len(images) >= 8 and len(infos) >= 8 and len(compressed) >= 3)
    after = node.get_clock().now().nanoseconds

    size = (600, 400) if kind == 'photo' else (64, 48)
    for message in images:
        assert (message.encoding, message.width, message.height) == ('rgb8', *size)
        assert before <= stamp_of(message) <= after
    stamps = [stamp_of(message) for message in images]
    assert all(first < second for first, second in itertools.pairwise(stamps))
    frame_id = 'eye' if kind == 'bag' else 'head_camera_optical_frame'
    assert {message.header.frame_id for message in [*images, *compressed, *infos]} == {frame_id}
    # The calibration of each image has its stamp and its size.
    assert {stamp_of(info) for info in infos} >= set(stamps[-3:])
    assert (infos[0].width, infos[0].height) == size
    assert infos[0].k[0] == (40 if kind == 'bag' else pytest.approx(size[0] * .714, rel=1e-3))
    # Both forms of a picture show the same.
    by_stamp = {stamp_of(message): message for message in images}
    pairs = [(by_stamp[stamp_of(each)], each) for each in compressed if stamp_of(each) in by_stamp]
    assert pairs
    for raw, coded in pairs:
        difference = decode_image(raw).astype(int) - decode_compressed(coded)
        assert np.abs(difference).mean() < 4


def test_the_kitchen_with_its_calibration(ros, listen):
    images = listen(Image, 'image', QoSProfile(depth=50))
    infos = listen(CameraInfo, 'camera_info', QoSProfile(depth=50))
    reports = listen(DiagnosticArray, '/diagnostics', 10)
    ros.start(CameraNode, {'source': 'sim:11:open'})
    ros.wait(lambda: len(images) >= 20 and len(infos) >= 20 and reports)
    stamps = [stamp_of(message) for message in images]
    assert {stamp_of(info) for info in infos} >= set(stamps[-15:])
    source = open_source('sim:11:open')
    focal = source.calibration.k[0]
    source.close()
    for message in (*images, *infos):
        assert (message.width, message.height) == (480, 360)
        assert message.header.frame_id == 'head_camera_optical_frame'
    for info in infos:
        assert (info.k[0], info.k[4], info.k[2], info.k[5]) == (focal, focal, 239.5, 179.5)

    # From the stamp and what the diagnostics tell, anybody knows which moment a picture shows.
    status, = (status for report in reports[-1:] for status in report.status)
    values = {pair.key: pair.value for pair in status.values}
    begun = float(values[PLAYED_SINCE])
    episode = sample_episode(11, 'open')
    with Renderer(episode, 480, 360, samples=0) as renderer:
        for message in images[-3:]:
            number = (stamp_of(message) / 1e9 - begun) * 30
            # On a busy machine a picture comes late, never early.
            candidates = range(max(0, int(number) - 12), int(number) + 2)
            assert any((decode_image(message) == renderer.rgb(each)).all()
                       for each in candidates), number


def test_pictures_come_in_order_and_in_a_loop(ros, listen, simulated, pictures):
    images = listen(Image, 'image', 100)
    simulated({'source': str(pictures), 'rate': 20.0}, range(0, 500, 10))
    ros.wait(lambda: len(images) >= 9)
    assert [index_of(decode_image(message)) for message in images[:9]] == [
        0, 1, 2, 3, 0, 1, 2, 3, 0]


def test_variable_frame_rate_is_kept(ros, listen, simulated, video):
    images = listen(Image, 'image', 100)
    node = simulated({'source': str(video)}, range(0, 800, 10))
    last = list(node._source.frames())[-1]
    length = 1000 * (last.offset + last.duration)
    expected = [time + turn * length for turn in range(3) for time in TIMES][:9]
    ros.wait(lambda: len(images) >= 9)
    begun = stamp_of(images[0])
    # Each frame comes with the first tick of the clock at or after its time.
    for message, due in zip(images, expected, strict=False):
        assert -0.01 <= (stamp_of(message) - begun) / 1e6 - due <= 10.01
    assert [index_of(decode_image(message)) for message in images[:9]] == [
        0, 1, 2, 3, 0, 1, 2, 3, 0]
    assert node._playback.skipped == 0


def test_a_clock_that_leaps_skips_frames(ros, listen, simulated, video):
    images = listen(Image, 'image', 100)
    node = simulated({'source': str(video), 'loop': False}, [0, 220, 230, 300])
    ros.wait(lambda: node._playback.ended)
    ros.wait(lambda: len(images) == 3)
    assert [index_of(decode_image(message)) for message in images] == [0, 2, 3]
    assert node._playback.skipped == 1


def test_time_that_stands_still_shows_nothing(ros, listen, simulated, video):
    images = listen(Image, 'image', 100)
    node = simulated({'source': str(video)}, [0, 10, 20])
    ros.wait(lambda: images)
    for _ in range(20):
        ros.executor.spin_once(timeout_sec=0.01)
    assert len(images) == node._frames == 1


def test_recorded_jpegs_are_passed_on_as_they_are(ros, listen, bag):
    compressed = listen(CompressedImage, 'image/compressed')
    ros.start(CameraNode, {'source': str(bag)})
    ros.wait(lambda: len(compressed) >= 5)
    streams = [cv2.imencode('.jpg', flat(index))[1].tobytes() for index in range(4)]
    assert all(bytes(message.data) in streams for message in compressed)
    assert {message.format for message in compressed} == {'jpeg'}


def test_nothing_is_made_that_nobody_listens_to(ros, listen, video, monkeypatch):
    made = []
    original = video_module._to_rgb
    monkeypatch.setattr(
        video_module, '_to_rgb', lambda frame: made.append(frame) or original(frame))
    node = ros.start(CameraNode, {'source': str(video)})
    # The first picture is looked at once for its size.
    made.clear()
    ros.wait(lambda: node._frames >= 12)
    assert made == []
    assert node._sent == {'image': 0, 'compressed': 0, 'camera_info': 0}
    images = listen(Image, 'image')
    ros.wait(lambda: images)
    assert made
    assert node._sent['compressed'] == 0


def test_bag_with_its_own_clock(ros, listen, bag):
    images = listen(Image, 'image', 20)
    clocks = listen(Clock, '/clock', 100)
    ros.start(CameraNode, {'source': str(bag), 'publish_clock': True})
    ros.wait(lambda: len(images) >= 6)
    start = 10**18
    offsets = [round((stamp_of(message) - start) / 1e6) + 5 for message in images]
    # One line of time over the rounds: the recorded stamps, moved by whole lengths of the bag.
    length = [offset - TIMES[index_of(decode_image(message))]
              for offset, message in zip(offsets, images, strict=True)]
    assert offsets == sorted(set(offsets))
    assert length == sorted(length)
    assert len(set(length)) >= 2
    ticks = [Time.from_msg(clock.clock).nanoseconds - start for clock in clocks]
    assert ticks == sorted(ticks)
    assert ticks[0] >= 0
    # The clock has passed each picture's stamp when it is published.
    assert ticks[-1] / 1e6 >= offsets[-1] - 30


def test_end_of_a_source_that_is_not_looped(ros, listen, pictures):
    images = listen(Image, 'image', 20)
    reports = listen(DiagnosticArray, '/diagnostics', 10)
    node = ros.start(CameraNode, {'source': str(pictures), 'rate': 50.0, 'loop': False})
    ros.wait(lambda: any(array.status[0].message == 'the source has ended' for array in reports))
    assert node.failure is None
    assert len(images) <= 4
    values = {each.key: each.value for each in reports[-1].status[0].values}
    assert int(values['frames']) + int(values['skipped']) == 4
    assert reports[-1].status[0].hardware_id == str(pictures)


def test_webcam_pictures_are_published_as_they_come(ros, listen, video, monkeypatch):
    # A capture of a file stands for that of a device: as fast as it can be read, then gone.
    monkeypatch.setattr(camera_node, 'open_source', lambda *_, **__: WebcamSource(
        'webcam:0', cv2.VideoCapture(str(video))))
    reports = listen(DiagnosticArray, '/diagnostics', 10)
    node = ros.start(CameraNode, {'source': 'webcam:0'})
    ros.wait(lambda: node.failure is not None)
    assert node.failure.code == ErrorCode.SOURCE_UNREADABLE
    # The node's last picture is the newest: 3 come after the one that opening takes.
    assert node._frames + node._playback.skipped == 3
    assert node._frames >= 1
    ros.wait(lambda: any(array.status[0].level == ERROR for array in reports))


def test_a_bad_picture_is_left_out_and_told(ros, listen, pictures):
    (pictures / '2.png').write_bytes(b'\x89PNG\r\n\x1a\n broken')
    images = listen(Image, 'image', 20)
    reports = listen(DiagnosticArray, '/diagnostics', 10)
    node = ros.start(CameraNode, {'source': str(pictures), 'rate': 40.0})
    ros.wait(lambda: node._unreadable >= 2 and len(images) >= 6 and reports)
    assert {index_of(decode_image(message)) for message in images} == {0, 1, 3}
    assert node.failure is None


@pytest.mark.parametrize(('asked', 'expected'), [
    ((0, 0), None), ((320, 0), (320, 213)), ((0, 200), (300, 200)), ((100, 100), (100, 100))])
def test_size(asked, expected):
    assert complete_size(asked, (600, 400)) == expected


def test_resized_images_keep_their_calibration(ros, listen, bag):
    images, infos = listen(Image, 'image'), listen(CameraInfo, 'camera_info')
    compressed = listen(CompressedImage, 'image/compressed')
    ros.start(CameraNode, {'source': str(bag), 'width': 32, 'frame_id': 'mine'})
    ros.wait(lambda: images and infos and compressed)
    assert (images[0].width, images[0].height) == (infos[0].width, infos[0].height) == (32, 24)
    assert decode_compressed(compressed[0]).shape == (24, 32, 3)
    assert (infos[0].k[0], infos[0].k[4]) == (20, 20.5)
    assert infos[0].k[2] == pytest.approx(14.75)
    assert infos[0].header.frame_id == 'mine'


def test_calibration_file(ros, listen, tmp_path):
    content = {
        'image_width': 600, 'image_height': 400, 'distortion_model': 'plumb_bob',
        'camera_matrix': {'data': [500.0, 0, 300, 0, 500, 200, 0, 0, 1]},
        'distortion_coefficients': {'data': [.1, .2, 0, 0, 0]},
        'rectification_matrix': {'data': [1, 0, 0, 0, 1, 0, 0, 0, 1]},
        'projection_matrix': {'data': [500.0, 0, 300, 0, 0, 500, 200, 0, 0, 0, 1, 0]}}
    path = tmp_path / 'c.yaml'
    path.write_text(yaml.safe_dump(content))
    infos = listen(CameraInfo, 'camera_info')
    ros.start(CameraNode, {'camera_info_file': str(path)})
    ros.wait(lambda: infos)
    assert list(infos[0].d) == [.1, .2, 0, 0, 0]

    path.write_text(yaml.safe_dump({**content, 'image_height': 600}))
    with pytest.raises(LegoError, match='600 x 600') as caught:
        ros.start(CameraNode, {'camera_info_file': str(path)}, namespace='other')
    assert caught.value.code == ErrorCode.INVALID_SETTING


def test_remapped_image_takes_the_compressed_topic_along(ros, listen):
    compressed = listen(CompressedImage, '/left/rgb/compressed')
    ros.start(CameraNode, {}, namespace='left', cli_args=['--ros-args', '-r', 'image:=rgb'])
    ros.wait(lambda: compressed)


@pytest.mark.parametrize(('name', 'value'), [
    ('rate', -1.0), ('rate', float('nan')), ('horizontal_fov', 0.0), ('jpeg_quality', 0),
    ('width', -5)])
def test_parameters_out_of_range(ros, name, value):
    with pytest.raises(InvalidParameterValueException, match=name):
        ros.start(CameraNode, {name: value})


def test_bad_source_in_one_process_leaves_the_other_nodes_alone(ros, listen):
    start = partial(ros.start, CameraNode)
    with pytest.raises(LegoError) as caught:
        start({'source': '/no/such/video.mp4'})
    assert caught.value.code == ErrorCode.SOURCE_UNREADABLE
    images = listen(Image, 'image')
    start({})
    ros.wait(lambda: images)


def test_parameter_file_is_the_table_and_is_found_by_the_node(ros, tmp_path):
    path = Path(__file__).parents[2] / 'config' / 'camera.yaml'
    text = path.read_text()
    content = yaml.safe_load(text)['/**']['ros__parameters']
    assert content == {entry.name: entry.default for entry in PARAMETERS}
    # The wildcard holds in every namespace.
    mine = tmp_path / 'mine.yaml'
    mine.write_text(text.replace('rate: 0.0', 'rate: 12.5'))
    node = ros.start(CameraNode, {}, namespace='left/eye', cli_args=[
        '--ros-args', '--params-file', str(mine)])
    assert node.get_parameter('rate').value == 12.5


def test_process_exit_status(ros, listen, start_process, video):
    bad = start_process('lego_ros.nodes.camera_node', {'source': '/no/such/video.mp4'})
    frames = listen(Image, 'image')
    good = start_process('lego_ros.nodes.camera_node', {'source': video})
    assert bad.wait(60) == 2
    error = bad.communicate()[1]
    assert "SOURCE_UNREADABLE: The camera source '/no/such/video.mp4'" in error
    assert 'Traceback' not in error
    ros.wait(lambda: frames)
    good.send_signal(signal.SIGTERM)
    assert good.wait(20) == 0
    assert 'Traceback' not in good.communicate()[1]


def test_process_ends_when_its_source_breaks_off(ros, listen, start_process, video):
    frames = listen(Image, 'image')
    process = start_process('lego_ros.nodes.camera_node', {'source': video})
    ros.wait(lambda: frames)
    # The next round of the loop finds nothing.
    video.unlink()
    assert process.wait(20) == 2
    error = process.communicate()[1]
    assert f'SOURCE_UNREADABLE: The camera source {video}' in error
    assert 'Traceback' not in error
