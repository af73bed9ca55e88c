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

"""Tiny but real parts: a LegoLlava with random weights and tokenizers trained on the spot."""

from __future__ import annotations

from lego_ros.engines.export import export
from lego_ros.engines.onnxruntime_engine import OnnxRuntimeEngine
from lego_ros.engines.openvino_engine import OpenVinoEngine
from lego_ros.engines.torch_engine import TorchEngine
from lego_ros.vllm.enrichment import Enricher
from lego_ros.vllm.graphs import vllm_graphs
from lego_ros.vllm.llava import LegoLlava, tiny_llava_config
from lego_ros.vllm.templates import QUESTION_TEMPLATES
from lego_ros.vllm.tokenizers import make_clip_tokenizer, make_llava_tokenizer
import numpy as np
import pytest
from tokenizers import decoders, models, normalizers, Tokenizer
import torch
from transformers import CLIPImageProcessorPil, PreTrainedTokenizerFast


@pytest.fixture(scope='session')
def texts():
    return [
        *QUESTION_TEMPLATES,
        'The person opens the drawer with the left hand and takes the knife out.',
        "She doesn't cut; they're pouring water into the cup, and it'll be full.",
        'Die Schublade öffnen. 引き出しを開ける。 Ça va à la carte.',
    ] * 3


@pytest.fixture(scope='session')
def tokenizer(texts):
    return make_llava_tokenizer(texts)


@pytest.fixture(scope='session')
def clip_tokenizer(texts):
    return make_clip_tokenizer(texts)


@pytest.fixture(scope='session')
def byte_fallback_tokenizer():
    """Decode like Llama-2's sentencepiece tokenizer: "▁" is a space, bytes have own tokens."""
    pieces = ['<unk>', '<s>', '</s>', *(f'<0x{byte:02X}>' for byte in range(256))]
    pieces += ['▁', '▁the', 'the', '▁do', "'", 're', 't', '!', '▁!', 'か', '▁cut', 'x']
    backend = Tokenizer(models.BPE(
        vocab={piece: index for index, piece in enumerate(pieces)},
        merges=[], unk_token='<unk>', byte_fallback=True,
    ))
    backend.normalizer = normalizers.Sequence(
        [normalizers.Prepend('▁'), normalizers.Replace(' ', '▁')]
    )
    backend.decoder = decoders.Sequence([
        decoders.Replace('▁', ' '), decoders.ByteFallback(), decoders.Fuse(),
        decoders.Strip(' ', 1, 0),
    ])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token='<unk>', bos_token='<s>', eos_token='</s>'
    )


@pytest.fixture
def make_model(tokenizer):
    """Make models whose logits differ enough for greedy and sampled answers to vary."""

    def make(seed=0):
        config = tiny_llava_config(len(tokenizer))
        config.text_config.initializer_range = 0.2
        config.vision_config.initializer_range = 0.2
        torch.manual_seed(seed)
        return LegoLlava(config).eval()

    return make


@pytest.fixture
def model(make_model):
    return make_model()


@pytest.fixture(scope='session')
def image():
    return np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8)


@pytest.fixture
def make_enricher(tokenizer, clip_tokenizer):
    def make(model, text_tokens=77):
        return Enricher(model, tokenizer, CLIPImageProcessorPil(), clip_tokenizer, text_tokens)

    return make


@pytest.fixture
def enricher(make_enricher, model):
    return make_enricher(model)


CAPACITY = 160
"""Positions of the model that engines are made of; its buffers have 128 rows, then all."""


@pytest.fixture(scope='session')
def engine_model(tokenizer):
    """Make a model whose queries share keys in pairs and whose projections have biases."""
    config = tiny_llava_config(len(tokenizer))
    config.vision_config.initializer_range = 0.2
    for name, value in {'initializer_range': 0.2, 'num_key_value_heads': 2,
                        'attention_bias': True, 'mlp_bias': True,
                        'max_position_embeddings': CAPACITY}.items():
        setattr(config.text_config, name, value)
    torch.manual_seed(0)
    model = LegoLlava(config).eval().requires_grad_(False)
    for name, parameter in model.named_parameters():
        if name.endswith('.bias'):
            parameter.normal_(std=0.2)
    return model


@pytest.fixture(scope='session')
def graphs(engine_model):
    return vllm_graphs(engine_model, torch.float32, CAPACITY)


@pytest.fixture(scope='session')
def exported(graphs, tmp_path_factory):
    """Give the ONNX files of the graphs, each written when it is first asked for."""
    folder = tmp_path_factory.mktemp('exported')

    def path_of(name):
        path = folder / f'{name}.onnx'
        if not path.exists():
            export(graphs[name], path)
        return path

    return path_of


@pytest.fixture(scope='session')
def engine_of(graphs, exported):
    """Load engines by the name of the backend and of the graph."""
    def load(backend, name):
        if backend == 'torch':
            return TorchEngine(graphs[name])
        if backend == 'onnxruntime':
            return OnnxRuntimeEngine(exported(name))
        return OpenVinoEngine(exported(name), backend.partition(' ')[2] or 'float32')

    return load
