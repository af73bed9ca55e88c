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

"""Action programs as messages, and back."""

from __future__ import annotations

from collections.abc import Sequence

from lego_ros.msg import (
    ActionProgram,
    ProgramNode,
    Provenance,
)
from lego_ros.msg import (
    Predicate as PredicateMessage,
)
from lego_ros.msg import (
    SubAction as SubActionMessage,
)
from lego_ros.programs.bounds import invalid, MAX_DEPTH, require_bounded, require_known
from lego_ros.programs.printing import to_text
from lego_ros.programs.tree import (
    Block,
    Call,
    Conditions,
    Hand,
    If,
    Predicate,
    Program,
    Repeat,
    Routine,
    Statement,
    SubAction,
    While,
)
from lego_ros.programs.violation import Violation
from lego_ros.programs.vocabulary import default_vocabulary, Vocabulary
from lego_ros.ros.messages import bounded, MAX_QUERY_BYTES, MAX_TEXT_BYTES
from lego_ros.runtime.answering import ProgramAnswer
from lego_ros.runtime.queries import Query

MAX_VIOLATIONS = 64
MAX_VIOLATION_BYTES = 512
_HANDS = {None: SubActionMessage.NO_HAND, Hand.LEFT: SubActionMessage.LEFT_HAND,
          Hand.RIGHT: SubActionMessage.RIGHT_HAND, Hand.BOTH: SubActionMessage.BOTH_HANDS,
          Hand.EITHER: SubActionMessage.EITHER_HAND}
_HAND_OF = {number: hand for hand, number in _HANDS.items()}


def to_message(program: Program, violations: Sequence[Violation] = (),
               vocabulary: Vocabulary | None = None) -> ActionProgram:
    """
    Put a program into a message.

    :param program: within the bounds, as :func:`lego_ros.programs.parsing.parse` gives it.
    :param violations: what the checker found.
    :param vocabulary: its words; those of the package by default.
    :returns: the message; sub-actions bring all their conditions, those of their verbs' contracts
        too. Header, question, confidence and provenance are left for the caller to fill in.
    """
    nodes: list[ProgramNode] = []
    _Writer(vocabulary or default_vocabulary(), nodes).program(program)
    return ActionProgram(
        objects=list(program.objects), initial_state=fact_messages(program.initial), nodes=nodes,
        text=to_text(program), checked=not violations,
        violations=[bounded(str(violation), MAX_VIOLATION_BYTES)
                    for violation in violations[:MAX_VIOLATIONS]])


def action_program(answer: ProgramAnswer, query: Query, source: Provenance,
                   recognised: Conditions = ()) -> ActionProgram:
    """
    Put the answer to a question into a message.

    :param answer: the program, with the header of its source image as the frame's source.
    :param query: what was asked.
    :param source: where it comes from.
    :param recognised: facts of its initial state that come from a recognition.
    :returns: the message.
    """
    message = to_message(answer.program, answer.violations)
    message.header = answer.frame.source
    message.query_id = query.query_id
    message.query = bounded(query.text, MAX_QUERY_BYTES)
    message.action = bounded(query.action, MAX_QUERY_BYTES)
    message.description = bounded(answer.description, MAX_TEXT_BYTES)
    message.confidence = answer.confidence
    message.recognised = fact_messages(recognised)
    message.provenance = source
    return message


def from_message(message: ActionProgram, vocabulary: Vocabulary | None = None) -> Program:
    """
    Read the program of a message.

    :param message: from anywhere.
    :param vocabulary: its words; those of the package by default.
    :returns: the tree of its nodes; its text is not looked at.
    :raises LegoError: PROGRAM_INVALID, the nodes are no tree of the language.
    """
    vocabulary = vocabulary or default_vocabulary()
    if not message.nodes or message.nodes[0].kind != ProgramNode.SEQUENCE:
        raise invalid(0, 'nodes[0] must be the root, a SEQUENCE')
    inside: list[list[int]] = [[] for _ in message.nodes]
    depth = [0] * len(message.nodes)
    for number, node in enumerate(message.nodes[1:], 1):
        if not 0 <= node.parent < number:
            raise invalid(0, f'nodes[{number}]: its parent {node.parent} must come before it')
        depth[number] = depth[node.parent] + 1
        # A routine's body begins one level deeper than the program's.
        if depth[number] > MAX_DEPTH + 1:
            raise invalid(0, f'nodes[{number}] is more than {MAX_DEPTH} blocks deep')
        parent = message.nodes[node.parent].kind
        if node.branch > (1 if parent == ProgramNode.IF else 0) or parent in (
                ProgramNode.SUB_ACTION, ProgramNode.CALL):
            raise invalid(0, f'nodes[{number}] cannot be in branch {node.branch} of its parent '
                             f'{node.parent}, which is of kind {parent}')
        inside[node.parent].append(number)
    reader = _Reader(message.nodes, inside, vocabulary)
    routines = [number for number in inside[0]
                if message.nodes[number].kind == ProgramNode.ROUTINE]
    program = Program(
        tuple(message.objects),
        tuple(reader.statement(number) for number in inside[0] if number not in routines),
        read_facts(message.initial_state),
        tuple(Routine(message.nodes[number].name, reader.block(number, 0))
              for number in routines))
    require_known(program, vocabulary)
    require_bounded(program, vocabulary)
    return program


class _Writer:
    """
    Flattens a tree, depth first.

    :param vocabulary: for the contracts.
    :param nodes: filled.
    """

    def __init__(self, vocabulary: Vocabulary, nodes: list[ProgramNode]) -> None:
        self._vocabulary = vocabulary
        self._nodes = nodes

    def program(self, program: Program) -> None:
        """Write the root, the routines, and the body."""
        root = self._add(ProgramNode(kind=ProgramNode.SEQUENCE), -1, 0)
        for routine in program.routines:
            self._block(routine.body, self._add(
                ProgramNode(kind=ProgramNode.ROUTINE, name=routine.name), root, 0), 0)
        self._block(program.body, root, 0)

    def _add(self, node: ProgramNode, parent: int, branch: int) -> int:
        node.parent, node.branch = parent, branch
        self._nodes.append(node)
        return len(self._nodes) - 1

    def _block(self, block: Block, parent: int, branch: int) -> None:
        for statement in block:
            number = self._add(self._node(statement), parent, branch)
            if isinstance(statement, If):
                self._block(statement.then, number, 0)
                self._block(statement.otherwise, number, 1)
            elif isinstance(statement, (While, Repeat)):
                self._block(statement.body, number, 0)

    def _node(self, statement: Statement) -> ProgramNode:
        if isinstance(statement, SubAction):
            return ProgramNode(kind=ProgramNode.SUB_ACTION, sub_action=[SubActionMessage(
                verb=statement.verb, object_a=statement.object_a, object_b=statement.object_b,
                hand=_HANDS[statement.hand],
                pre_conditions=fact_messages(self._vocabulary.pre(statement)),
                post_conditions=fact_messages(self._vocabulary.post(statement)))])
        if isinstance(statement, Call):
            return ProgramNode(kind=ProgramNode.CALL, name=statement.name)
        if isinstance(statement, Repeat):
            return ProgramNode(kind=ProgramNode.REPEAT, count=statement.count)
        kind = ProgramNode.IF if isinstance(statement, If) else ProgramNode.WHILE
        return ProgramNode(kind=kind, condition=fact_messages(statement.condition))


class _Reader:
    """
    Makes a tree of flat nodes.

    :param nodes: of the message.
    :param inside: node -> its children, in order; deeper than the bound none goes.
    :param vocabulary: for the contracts.
    """

    def __init__(self, nodes: Sequence[ProgramNode], inside: list[list[int]],
                 vocabulary: Vocabulary) -> None:
        self._nodes = nodes
        self._inside = inside
        self._vocabulary = vocabulary

    def block(self, parent: int, branch: int) -> Block:
        """
        Read the children of one branch of a node.

        :param parent: number of the node.
        :param branch: 0, or 1 for the else of an IF.
        :returns: the statements.
        """
        return tuple(self.statement(number) for number in self._inside[parent]
                     if self._nodes[number].branch == branch)

    def statement(self, number: int) -> Statement:
        """
        Read a node.

        :param number: which.
        :returns: the statement with all that is in it.
        :raises LegoError: PROGRAM_INVALID, it is of no kind that may stand here.
        """
        node = self._nodes[number]
        if node.kind == ProgramNode.SUB_ACTION and len(node.sub_action) == 1:
            return self._sub_action(number, node.sub_action[0])
        if node.kind == ProgramNode.CALL:
            return Call(node.name)
        if node.kind == ProgramNode.REPEAT:
            return Repeat(node.count, self.block(number, 0))
        if node.kind == ProgramNode.WHILE:
            return While(read_facts(node.condition), self.block(number, 0))
        if node.kind == ProgramNode.IF:
            return If(read_facts(node.condition), self.block(number, 0), self.block(number, 1))
        raise invalid(0, f'nodes[{number}]: kind {node.kind} cannot stand there, or it has '
                         f'{len(node.sub_action)} sub-actions where it needs one')

    def _sub_action(self, number: int, message: SubActionMessage) -> SubAction:
        if message.hand not in _HAND_OF:
            raise invalid(0, f'nodes[{number}]: {message.hand} is no hand')
        action = SubAction(message.verb, message.object_a, message.object_b,
                           _HAND_OF[message.hand])
        if message.verb not in self._vocabulary.sub_verbs:
            # That it is no sub-verb is told with the rest of what is not known.
            return action
        return self._vocabulary.beyond(action, read_facts(message.pre_conditions),
                                       read_facts(message.post_conditions))


def fact_messages(conditions: Conditions) -> list[PredicateMessage]:
    """
    Put facts into messages.

    :param conditions: any number.
    :returns: the messages, in the same order.
    """
    return [PredicateMessage(negated=fact.negated, name=fact.name, arguments=list(fact.arguments))
            for fact in conditions]


def read_facts(messages: Sequence[PredicateMessage]) -> Conditions:
    """
    Read facts.

    :param messages: from anywhere; whether their words are known is not looked at.
    :returns: the facts, in the same order.
    """
    return tuple(Predicate(message.name, tuple(message.arguments), message.negated)
                 for message in messages)
