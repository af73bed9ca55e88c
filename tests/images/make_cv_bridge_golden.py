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
Make tests/images/data/cv_bridge_golden.npz with the real cv_bridge.

Run it where cv_bridge is installed; on Debian 12:

    apt-get install --no-install-recommends python3-cv-bridge python3-sensor-msgs python3-opencv
    /usr/bin/python3 tests/images/make_cv_bridge_golden.py

The file holds, for each encoding and size, the raw bytes of a message and cv_bridge's picture in
each target encoding: ``<encoding>/<height>x<width>/source`` and ``.../rgb8``, ``bgr8``, ``mono8``;
and ``refused``, the encodings that this cv_bridge knows but does not take for a colour. Debian's
cv_bridge 1.16 has the conversions of ROS 2's, but not the encoding yuv422_yuy2, and its Python
part does not look at ``step``: rows are unpadded here. The same machine makes the same file.
"""

from pathlib import Path
import sys
from types import SimpleNamespace

from cv_bridge import CvBridge, CvBridgeError
import numpy as np

BYTES_PER_PIXEL = {
    'rgb8': 3, 'bgr8': 3, 'rgba8': 4, 'bgra8': 4, 'mono8': 1,
    'rgb16': 6, 'bgr16': 6, 'rgba16': 8, 'bgra16': 8, 'mono16': 2,
    'bayer_rggb8': 1, 'bayer_bggr8': 1, 'bayer_gbrg8': 1, 'bayer_grbg8': 1,
    'bayer_rggb16': 2, 'bayer_bggr16': 2, 'bayer_gbrg16': 2, 'bayer_grbg16': 2,
    'yuv422': 2, 'yuv422_yuy2': 2,
}
GENERIC = [f'{depth}C{channels}' for depth in ('8U', '8S', '16U', '16S', '32S', '32F', '64F')
           for channels in (1, 2, 3, 4)]
TARGETS = ('rgb8', 'bgr8', 'mono8')
# The second is wide enough for OpenCV's vector code, and odd in height.
SIZES = ((6, 8), (5, 46))
OUT = Path(__file__).parent / 'data' / 'cv_bridge_golden.npz'


def message(encoding: str, height: int, width: int, data: bytes) -> SimpleNamespace:
    """Fill what cv_bridge reads of a sensor_msgs/Image."""
    return SimpleNamespace(height=height, width=width, encoding=encoding, is_bigendian=0,
                           step=len(data) // height, data=data)


def main() -> None:
    """Write the file."""
    bridge = CvBridge()
    random = np.random.RandomState(20260101)
    arrays = {}
    for encoding, pixel_bytes in BYTES_PER_PIXEL.items():
        for height, width in SIZES:
            source = random.randint(0, 256, height * width * pixel_bytes).astype(np.uint8)
            msg = message(encoding, height, width, source.tobytes())
            try:
                made = {target: bridge.imgmsg_to_cv2(msg, target) for target in TARGETS}
            except CvBridgeError as error:
                print(f'{encoding}: left out, {error}', file=sys.stderr)
                break
            key = f'{encoding}/{height}x{width}'
            arrays[f'{key}/source'] = source
            arrays.update({f'{key}/{target}': picture for target, picture in made.items()})
    refused = []
    for encoding in GENERIC:
        try:
            bridge.imgmsg_to_cv2(message(encoding, 1, 1, bytes(32)), 'rgb8')
        except CvBridgeError as error:
            if 'not a color format' in str(error):
                refused.append(encoding)
    arrays['refused'] = np.array(refused)
    OUT.parent.mkdir(exist_ok=True)
    np.savez_compressed(OUT, **arrays)
    print(f'{OUT.name}: {len(arrays)} arrays, {OUT.stat().st_size} bytes')


if __name__ == '__main__':
    main()
