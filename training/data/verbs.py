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
The base form of the verbs that narrators use: "opens" -> "open", "is cutting" -> "cut".

English spelling needs few rules and a list of what they get wrong. The list of known verbs only
decides between spellings that the rules leave open ("taking": "tak" or "take").
"""

from __future__ import annotations

_IRREGULAR = {
    'am': 'be', 'are': 'be', 'is': 'be', 'was': 'be', 'were': 'be', 'has': 'have', 'had': 'have',
    'does': 'do', 'did': 'do', 'done': 'do', 'goes': 'go', 'went': 'go', 'gone': 'go',
    'undoes': 'undo', 'undid': 'undo', 'took': 'take', 'taken': 'take', 'held': 'hold',
    'broke': 'break', 'broken': 'break', 'brought': 'bring', 'threw': 'throw', 'thrown': 'throw',
    'gave': 'give', 'given': 'give', 'got': 'get', 'kept': 'keep', 'left': 'leave',
    'made': 'make', 'poured': 'pour', 'shook': 'shake', 'shaken': 'shake', 'swept': 'sweep',
    'tore': 'tear', 'torn': 'tear', 'hung': 'hang', 'bent': 'bend', 'wrote': 'write',
    'ate': 'eat', 'drank': 'drink', 'ground': 'grind', 'stood': 'stand', 'slid': 'slide',
    'dies': 'die', 'lies': 'lie', 'ties': 'tie', 'unties': 'untie', 'aches': 'ache',
    'caches': 'cache', 'axes': 'axe', 'shoes': 'shoe', 'hoes': 'hoe', 'tiptoes': 'tiptoe',
    'toes': 'toe', 'focuses': 'focus', 'gases': 'gas', 'quizzes': 'quiz', 'avalanches':
    'avalanche', 'dying': 'die', 'lying': 'lie', 'tying': 'tie', 'untying': 'untie',
    'seeing': 'see', 'dyeing': 'dye',
}

# Verbs in their base form; those that end in e, or double a letter, matter most.
_WORDS = """
add adjust apply arrange ask attach bake balance bathe beat begin bend bite blend blow boil bounce
break breathe bring browse brush build burn button buy carry carve cast catch change charge check
chew chop clasp clean cleanse clear climb clip close collect combine compare connect continue cook
cool cover crack crawl crease create crochet crop cross crumble crush curl cut dance decorate
detach dice dig dip disassemble disconnect dispose divide do drag drain draw dress dribble drill
drink drive drop dry dust eat empty enclose erase examine exchange expand extend extinguish face
fasten feed feel fetch fill filter fix flatten flip fold force fry gather gauge get give glance
glide glue grab grasp grate grease grind grip groom guide hammer handle hang have hit hold hook
increase inhale insert inspect install iron join juggle jump keep kick knead kneel knit knock lace
ladle lay lean leave lift light load lock loosen lower make manage march mark massage measure melt
merge mince mix mould move nail notice observe open operate pack paint park paste pat peel pet
pick pierce pile pinch place plane plant plaster play pluck plug point poke polish position pour
practise prepare press prick produce provide prune pull pump punch push put raise rake rattle
reach read rearrange receive recline record reduce release remove repair replace reposition rest
retrieve return reverse ride rinse rip roast roll rotate rub run sand save saw scan scoop scrape
scratch screw scroll scrub seal search season secure see select separate serve set sew shake shape
share sharpen shave shift shuffle shut sift sign sip sit skim slice slide smear smell smile smoke
smooth soak sort spin split spray spread sprinkle squat squeeze stack stand staple stare start
steam steer step stick stir stitch stop store straighten strain stretch string strip suck surface
swap sweep swing swipe switch take talk tap taste tear test thread throw tie tighten tilt toast
toss touch trace transfer trim turn twist type uncover unfold unhook unlock unpack unplug unroll
unscrew untie unwind unwrap use wait walk wash watch wave wear weave wedge weigh whisk wind wipe
wrap wring write zip
"""
KNOWN = frozenset(_WORDS.split())

_VOWELS = set('aeiou')


def base_form(word: str) -> str:
    """
    Return the base form of an English verb.

    :param word: in any form, one word.
    :returns: the base form in lower case; the word itself where no rule applies.
    """
    word = word.lower()
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word in KNOWN:
        return word
    if word.endswith('ing') and len(word) > 4:
        return _from_stem(word, word[:-3])
    if word.endswith('ied') and len(word) > 4:
        return word[:-3] + 'y'
    if word.endswith('ed') and len(word) > 3:
        return _from_stem(word, word[:-2])
    return _third_person(word)


def _third_person(word: str) -> str:
    if not word.endswith('s') or word.endswith(('ss', 'us', 'is')) or len(word) < 3:
        return word
    if word.endswith('ies'):
        return word[:-3] + 'y'
    if word.endswith(('sses', 'shes', 'ches', 'xes', 'zzes', 'oes')):
        return word[:-2]
    return word[:-1]


def _from_stem(word: str, stem: str) -> str:
    """Undo -ing or -ed: "tak" -> "take", "cutt" -> "cut"."""
    doubled = len(stem) > 2 and stem[-1] == stem[-2] and stem[-1] not in _VOWELS
    candidates = [stem, stem + 'e'] + ([stem[:-1]] if doubled else [])
    for candidate in candidates:
        if candidate in KNOWN:
            return candidate
    if not _VOWELS & set(stem.replace('y', 'i')):
        return word
    # A lone vowel before the last consonant, doubled: "grabb"; but "press", "roll", "stuff".
    return stem[:-1] if doubled and stem[-1] not in 'slfz' else stem
