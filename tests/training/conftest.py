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

"""Datasets, VLLMs and language models' servers for the stages: real files, small sizes."""

import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
import threading

from lego_ros.training.data.dataset import PairDataset
from lego_ros.training.data.manifest import PairRecord, to_line
from lego_ros.vllm.llava import LegoLlava, tiny_llava_config
from lego_ros.vllm.templates import QUESTION_TEMPLATES
from lego_ros.vllm.tokenizers import make_clip_tokenizer, make_llava_tokenizer
import numpy as np
from PIL import Image
import pytest
import torch
from transformers import CLIPImageProcessorPil

ACTIONS = [
    ('open', 'left drawer', 'left',
     'The person pulls the handle of the left drawer with the left hand.'),
    ('open', 'left drawer', 'right',
     'The right hand reaches across and pulls the left drawer open.'),
    ('take', 'mug', 'right', 'The person grasps the mug beside the sink with the right hand.'),
    ('cut', 'tomato', 'both', 'The left hand holds the tomato while the right hand cuts it.'),
    ('wash', 'large plate', None, 'The person holds the plate under the tap.')]


def _record(folder, number, split, description):
    verb, noun, hand, described = ACTIONS[number % len(ACTIONS)]
    action = f'{split}{number}'

    def picture(role, frame):
        noise = np.random.default_rng((number, frame, len(split)))
        small = noise.integers(0, 256, (3, 5, 3), dtype=np.uint8)
        path = folder / f'pictures/{action}_{role}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(small).resize((80, 48), Image.Resampling.BICUBIC).save(path)
        return {
            'asked_time': frame / 30, 'asked_frame': None, 'asked_base': 0, 'asked_fps': 30.0,
            'asked_source': 'rule', 'frame': frame, 'base': 0, 'fps': 30.0,
            'numbering': 'frames', 'time': frame / 30,
            'candidates': [{'frame': frame, 'time': frame / 30, 'quality': 0.5}],
            'path': f'pictures/{path.name}',
            'sha256': hashlib.sha256(path.read_bytes()).hexdigest(), 'width': 80, 'height': 48}

    return PairRecord.model_validate({
        'pair_id': f'kitchen/{action}', 'dataset': 'kitchen', 'action_id': action,
        'video_id': f'v{number}', 'video': f'v{number}.mp4', 'split': split,
        'label': f'{verb} {noun}', 'narration': f'{verb} {noun}',
        'description': described if description is None else description,
        'verb': verb, 'verb_class': None, 'noun': noun, 'noun_class': None, 'hand': hand,
        'boxes': [], 'input': picture('input', 15), 'target': picture('target', 30),
        'quality_by': 'order', 'similarity': 0.9, 'similarity_by': 'cosine', 'kept': True,
        'reason': 'kept'})


@pytest.fixture(scope='session')
def write_described():
    """Write a dataset of described pairs; gives its training split."""
    def write(folder, train=5, validation=2, descriptions=()):
        given = dict(enumerate(descriptions))
        records = [_record(folder, number, 'train', given.get(number)) for number in range(train)]
        records += [_record(folder, number, 'validation', None) for number in range(validation)]
        (folder / 'pairs.jsonl').write_bytes(b''.join(to_line(record) for record in records))
        return PairDataset(folder, 'train')

    return write


@pytest.fixture(scope='session')
def words():
    return [*QUESTION_TEMPLATES, *(f'{action[0]} {action[1]} {action[3]}' for action in ACTIONS)]


@pytest.fixture(scope='session')
def vllm_tokenizer(words):
    return make_llava_tokenizer(words * 2, 600)


@pytest.fixture(scope='session')
def make_vllm(vllm_tokenizer):
    """Make VLLMs whose logits differ enough for answers to vary."""
    def make(seed=0, positions=None):
        config = tiny_llava_config(len(vllm_tokenizer))
        config.text_config.initializer_range = 0.2
        config.vision_config.initializer_range = 0.2
        if positions is not None:
            config.text_config.max_position_embeddings = positions
        torch.manual_seed(seed)
        return LegoLlava(config).eval()

    return make


@pytest.fixture(scope='session')
def save_tiny_vllm(make_vllm, vllm_tokenizer):
    """Save a VLLM as bundles hold it."""
    def save(folder, **arguments):
        for part in (make_vllm(**arguments), vllm_tokenizer, CLIPImageProcessorPil()):
            part.save_pretrained(folder)
        return folder

    return save


@pytest.fixture(scope='session')
def vllm_folder(tmp_path_factory, save_tiny_vllm):
    """Give a VLLM that tests only read."""
    return save_tiny_vllm(tmp_path_factory.mktemp('untuned'))


@pytest.fixture(scope='session')
def small_clip_tokenizer(words):
    return make_clip_tokenizer(words, 700)


class LlmServer:
    """
    A language model's server that does as told.

    Answers with ``self.answer(request)``: a text, or status, headers and body; None = nothing
    more is said. ``make_request(number, headers, body, handler)`` makes what it is given.
    """

    def __init__(self, make_request, answer, completion):
        self.answer = answer
        self.requests = []
        self.most_at_once = 0
        self.changed = threading.Condition()
        self._now = 0
        self._over = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
                headers = {name.lower(): value for name, value in self.headers.items()}
                with outer.changed:
                    request = make_request(len(outer.requests), headers, body, self)
                    outer.requests.append(request)
                    outer._now += 1
                    outer.most_at_once = max(outer.most_at_once, outer._now)
                    outer.changed.notify_all()
                try:
                    answer = outer.answer(request)
                    if answer is None:
                        outer._over.wait(60)
                        self.close_connection = True
                        return
                    self._send(*((200, {}, completion(answer)) if isinstance(answer, str)
                                 else answer))
                except OSError:
                    self.close_connection = True
                finally:
                    with outer.changed:
                        outer._now -= 1
                        outer.changed.notify_all()

            def _send(self, status, headers, content):
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(status)
                for name, value in {'Content-Type': 'application/json', **headers}.items():
                    self.send_header(name, value)
                self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request, client_address):
                # Clients that are killed reset their connections; that is what they are here for.
                pass

        self._server = Server(('127.0.0.1', 0), Handler)
        self.url = f'http://127.0.0.1:{self._server.server_port}/v1'
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={'poll_interval': 0.02}, daemon=True)
        self._thread.start()

    def wait_for(self, condition, seconds=30):
        with self.changed:
            assert self.changed.wait_for(condition, seconds), 'it did not come to that in time'

    def close(self):
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def llm_server():
    """Start servers that end with the test."""
    servers = []

    def start(*arguments):
        servers.append(LlmServer(*arguments))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
