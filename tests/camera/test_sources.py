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

"""Every kind of source, read from real files."""

from __future__ import annotations

import itertools
from pathlib import Path
import shutil
import struct
import wave
import zlib

import cv2
from lego_ros.camera.frames import FrameSource
from lego_ros.camera.opening import open_source
from lego_ros.camera.webcam import WebcamSource
from lego_ros.errors import ErrorCode, LegoError
import numpy as np
from PIL import Image
import pytest
from rosbags.rosbag2 import StoragePlugin


def test_video_gives_every_frame_at_its_own_time(make_video, vfr_times, index_of):
    source = open_source(str(make_video()))
    frames = list(source.frames())
    assert source.size == (64, 48)
    assert [index_of(frame.picture.rgb) for frame in frames] == list(range(6))
    assert [frame.offset for frame in frames] == pytest.approx(
        [time / 1000 for time in vfr_times], abs=1e-4)
    # Read again, it begins again.
    assert next(source.frames()).offset == 0


def test_video_that_does_not_begin_at_zero(make_video, vfr_times):
    frames = list(open_source(str(make_video(name='late.mkv', start=5000))).frames())
    assert [frame.offset for frame in frames] == pytest.approx(
        [time / 1000 for time in vfr_times], abs=1.1e-3)


def test_telephone_video_is_turned_upright(make_video, tmp_path, flat):
    picture = flat(0)
    picture[:, :32] = 230
    path = make_video(times=(0, 33), pictures=[picture, picture])
    content = bytearray(path.read_bytes())
    # ISO 14496-12, 8.3.2: the matrix of tkhd (version 0) lies 40 bytes behind its name;
    # a quarter turn clockwise is (0 1 0; -1 0 0; 0 0 1).
    matrix = content.index(b'tkhd') + 4 + 40
    content[matrix:matrix + 36] = struct.pack(
        '>9i', 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    turned = tmp_path / 'turned.mp4'
    turned.write_bytes(content)
    source = open_source(str(turned))
    rgb = next(source.frames()).picture.rgb
    assert source.size == (48, 64)
    assert rgb.shape == (64, 48, 3)
    # What was on the left is now on top.
    assert rgb[:24].mean() > 200
    assert rgb[-24:].mean() < 60


@pytest.mark.parametrize('suffix', ['.png', '.bmp', '.webp', '.PNG'])
def test_picture_is_repeated_at_the_rate(tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    path = tmp_path / f'picture{suffix}'
    Image.fromarray(pixels).save(path, lossless=True)
    source = open_source(str(path), rate=4.0)
    frames = list(itertools.islice(source.frames(), 3))
    assert source.size == (30, 20)
    assert [frame.offset for frame in frames] == [0, 0.25, 0.5]
    assert all(frame.picture is frames[0].picture for frame in frames)
    np.testing.assert_array_equal(frames[0].picture.rgb, pixels)


def test_photograph_is_turned_as_its_exif_says(tmp_path):
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:, :15] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / 'p.jpg', exif=exif)
    rgb = next(open_source(str(tmp_path / 'p.jpg')).frames()).picture.rgb
    assert rgb.shape == (30, 20, 3)
    assert rgb[:13].mean() > 250
    assert rgb[-13:].mean() < 5


def test_folder_in_natural_order(tmp_path, flat, index_of):
    for index, name in enumerate(('a.png', '2.png', '10.png', '9.jpg')):
        Image.fromarray(flat(index)).save(tmp_path / name)
    (tmp_path / 'readme.txt').write_text('no picture')
    frames = list(open_source(str(tmp_path), rate=20.0).frames())
    assert [index_of(frame.picture.rgb) for frame in frames] == [1, 3, 2, 0]
    assert [frame.offset for frame in frames] == pytest.approx([0, .05, .1, .15])


def test_one_bad_picture_of_a_folder_does_not_end_it(tmp_path, flat, index_of):
    for index in range(3):
        Image.fromarray(flat(index)).save(tmp_path / f'{index}.png')
    (tmp_path / '1.png').write_bytes(b'\x89PNG\r\n\x1a\n broken')
    frames = list(open_source(str(tmp_path)).frames())
    assert index_of(frames[2].picture.rgb) == 2
    with pytest.raises(LegoError, match=r'1\.png') as caught:
        assert frames[1].picture.rgb is None
    assert caught.value.code == ErrorCode.SOURCE_UNREADABLE


def test_photo_is_a_real_photograph():
    source = open_source('photo')
    frame = next(source.frames())
    assert (source.size, source.fps) == ((600, 400), 10.0)
    assert frame.picture.rgb.std() > 40


@pytest.mark.parametrize('compressed', [False, True])
@pytest.mark.parametrize('plugin', list(StoragePlugin))
def test_bag(make_bag, compressed, plugin, index_of):
    source = open_source(str(make_bag(compressed=compressed, plugin=plugin)))
    frames = list(source.frames())
    assert source.size == (64, 48)
    assert source.start == 10**18
    assert [frame.offset for frame in frames] == pytest.approx([0, .05, .3])
    assert [frame.stamp for frame in frames] == [
        10**18 + (time - 5) * 10**6 for time in (0, 50, 300)]
    assert {frame.frame_id for frame in frames} == {'head_optical'}
    assert [index_of(frame.picture.rgb) for frame in frames] == [0, 1, 2]
    assert [frame.picture.size for frame in frames] == [(64, 48)] * 3
    assert source.calibration is not None
    assert (source.calibration.k[0], source.calibration.d[0]) == (50, .1)
    assert (frames[0].picture.coded is not None) == compressed


def test_bag_file_without_its_folder(make_bag):
    path = make_bag()
    source = open_source(str(path / 'bag.mcap'), topic='/head/image_raw')
    assert len(list(source.frames())) == 3


def test_bag_without_stamps_or_calibration_has_the_recorders_times(make_bag):
    source = open_source(str(make_bag(stamped=False, info=False)))
    assert [frame.stamp for frame in source.frames()] == [
        10**18 + time * 10**6 for time in (0, 50, 300)]
    assert source.calibration is None


def test_webcam_is_live_and_breaks_off_with_an_error(make_video, index_of):
    # OpenCV's capture of a file stands for that of a device: same class, same calls.
    capture = cv2.VideoCapture(str(make_video()))
    source = WebcamSource('webcam:0', capture)
    assert source.live
    assert source.size == (64, 48)
    frames = []
    with pytest.raises(LegoError, match='stopped') as caught:
        frames.extend(iter(source.frames()))
    assert caught.value.code == ErrorCode.SOURCE_UNREADABLE
    assert [index_of(frame.picture.rgb) for frame in frames] == [1, 2, 3, 4, 5]
    source.close()
    assert not capture.isOpened()


def _sixteen_bits(folder: Path) -> Path:
    cv2.imwrite(str(folder / 'depth.png'), np.full((8, 8), 3000, np.uint16))
    return folder / 'depth.png'


def _huge(folder: Path) -> Path:
    # A small file that claims 17000 x 100 pixels.
    path = folder / 'huge.png'
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack('>2I', 17000, 100)
    content[29:33] = struct.pack('>I', zlib.crc32(content[12:29]))
    path.write_bytes(content)
    return path


def _cut(path: Path, share: float) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[:int(share * len(content))])
    return path


def _photograph(path: Path) -> Path:
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    return path


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _sound(path: Path) -> Path:
    with wave.open(str(path), 'wb') as writer:
        writer.setparams((1, 2, 8000, 0, 'NONE', ''))
        writer.writeframes(bytes(1600))
    return path


BAD = {
    'missing': (lambda tmp, video, bag: 'no/such/file.mp4', 'no such file'),
    'unknown kind': (lambda tmp, video, bag: 'rtsp:camera', 'no such file'),
    'nothing': (lambda tmp, video, bag: '', 'no such file'),
    'kitchen without a seed': (lambda tmp, video, bag: 'sim:abc', 'sim:SEED:VERB'),
    'kitchen of a negative seed': (lambda tmp, video, bag: 'sim:-1', 'sim:SEED:VERB'),
    'webcam that is not there': (lambda tmp, video, bag: 'webcam:73', 'webcam'),
    'device that is not there': (lambda tmp, video, bag: '/dev/video73', 'webcam'),
    'empty folder': (lambda tmp, video, bag: _folder(tmp / 'e'), 'no pictures'),
    'empty file': (lambda tmp, video, bag: _file(tmp / 'e.mp4', b''), 'no readable video'),
    'text': (lambda tmp, video, bag: _file(tmp / 'e.mp4', b'hello ' * 99), 'no readable video'),
    'cut-off video': (lambda tmp, video, bag: _cut(video(), .6), 'no readable video'),
    'sound only': (lambda tmp, video, bag: _sound(tmp / 'a.wav'), 'no video stream'),
    'empty picture': (lambda tmp, video, bag: _file(tmp / 'e.jpg', b''), 'cannot be read'),
    'cut-off picture': (lambda tmp, video, bag: _cut(_photograph(tmp / 'p.jpg'), .5), 'truncated'),
    'depth picture': (lambda tmp, video, bag: _sixteen_bits(tmp), 'depth'),
    'huge picture': (lambda tmp, video, bag: _huge(tmp), '17000'),
    'bag without images': (lambda tmp, video, bag: bag(images=False), 'no topic of images'),
    'bag without messages': (lambda tmp, video, bag: bag(times=()), 'no message'),
    'cut-off bag': (lambda tmp, video, bag: _cut(bag() / 'bag.mcap', .5).parent, 'bag'),
    'bag without metadata': (
        lambda tmp, video, bag: _file(bag() / 'metadata.yaml', b'').parent, 'cannot be read'),
    'no bag': (lambda tmp, video, bag: _file(tmp / 'x.mcap', b'x' * 99), 'cannot be read'),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_source(case, tmp_path, make_video, make_bag):
    make, reason = BAD[case]
    path = make(tmp_path, make_video, make_bag)
    with pytest.raises(LegoError, match=reason) as caught:
        list(open_source(str(path)).frames())
    assert caught.value.code == ErrorCode.SOURCE_UNREADABLE
    assert str(path) in str(caught.value)


def test_wrong_bag_topic_names_the_right_ones(make_bag):
    with pytest.raises(LegoError, match='/head/image_raw'):
        open_source(str(make_bag()), topic='/nose/image_raw')


def test_source_kinds_share_one_interface(make_video, make_bag, tmp_path):
    shutil.copy(_photograph(tmp_path / 'p.png'), tmp_path / 'q.png')
    for path in ('photo', make_video(), make_bag(), tmp_path / 'p.png', tmp_path):
        source = open_source(str(path))
        assert isinstance(source, FrameSource)
        frame = next(source.frames())
        assert frame.offset == 0
        assert frame.duration > 0
        assert frame.picture.size == source.size
        source.close()
