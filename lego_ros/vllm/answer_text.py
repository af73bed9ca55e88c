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
From response tokens to the description R, and when the rest of R cannot matter any more.

The picture depends on R only through CLIP's first 75 tokens of it. They are final as soon as 75
tokens lie before a word boundary that is itself final:

* CLIP's tokenizer normalises (NFC, lower case), then splits at white space before anything merges.
  Neither crosses white space, so text before a white space has the same tokens whatever follows.
  Inside a word this does not hold: merges, composed letters and pieces such as "'re" or
  "<|endoftext|>" can still form.
* A text decoded from tokens grows only at its end, except for characters whose bytes come in
  several tokens. A byte-level tokenizer shows such bytes as U+FFFD until they are whole, and white
  space ends them. A sentencepiece one with byte fallback decodes a run of byte tokens ("<0x0A>")
  as a whole, so a trailing run is left out until it ended.
"""

from __future__ import annotations

from collections.abc import Sequence
import re

from transformers import PreTrainedTokenizerBase

_WHITESPACE = ' \t\n'
_LAST_WHITESPACE = re.compile(rf'[{_WHITESPACE}](?=[^{_WHITESPACE}]*\Z)')
# Control characters say nothing in a description, and NUL would cut a ROS string short.
_CONTROLS = {
    code: ' ' for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in _WHITESPACE
}
_BYTE_TOKEN = re.compile(r'<0x[0-9A-Fa-f]{2}>')


class AnswerText:
    """
    Reads the VLLM's response as the text R that CLIP will see.

    :param tokenizer: the VLLM's tokenizer.
    :param clip_tokenizer: the tokenizer of the LDM's text encoder.
    :param text_tokens: N, the tokens of a CLIP text with its two special ones; 77 in the paper.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        clip_tokenizer: PreTrainedTokenizerBase,
        text_tokens: int,
    ) -> None:
        self._tokenizer = tokenizer
        self._clip_tokenizer = clip_tokenizer
        self._clip_words = text_tokens - 2
        self._special = frozenset(tokenizer.all_special_ids)

    def whole(self, token_ids: Sequence[int]) -> str:
        """
        Read all of a response.

        :param token_ids: response tokens.
        :returns: the text without special tokens, control characters and outer white space.
        """
        return self._read(token_ids).strip()

    def settled(self, token_ids: Sequence[int]) -> str:
        """
        Read the part of a response that no further token can change.

        :param token_ids: response tokens so far.
        :returns: the whole words at its start, without outer white space.
        """
        end = len(token_ids)
        while end and self._is_open(token_ids[end - 1]):
            end -= 1
        text = self._read(token_ids[:end])
        boundary = _LAST_WHITESPACE.search(text)
        return text[:boundary.start()].strip() if boundary else ''

    def fills_clip(self, token_ids: Sequence[int]) -> bool:
        """
        Tell whether CLIP's tokens of the response are final.

        :param token_ids: response tokens so far.
        :returns: whether :meth:`settled` alone fills CLIP's N tokens, so that whatever follows is
            cut off.
        """
        words = self._clip_tokenizer(
            self.settled(token_ids),
            add_special_tokens=False,
            padding=False,
            truncation=False,
            verbose=False,
        )
        return len(words['input_ids']) >= self._clip_words

    def _is_open(self, token_id: int) -> bool:
        """Tell whether a later byte can change how this token is read."""
        # A model with a padded vocabulary may produce ids that the tokenizer does not know.
        token = self._tokenizer.convert_ids_to_tokens([int(token_id)])[0] or ''
        return token_id in self._special or bool(_BYTE_TOKEN.fullmatch(token))

    def _read(self, token_ids: Sequence[int]) -> str:
        """Decode without special tokens, with control characters as spaces."""
        text = self._tokenizer.decode(
            list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return str(text).translate(_CONTROLS)
