"""When each value of a program comes to lie in memory, and when it goes, in the order in which XLA runs a program."""

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import NamedTuple

from .fusion import POINTWISE, Fused, fused
from .program import RENAMING, Operation, Program

BEGINNING = 0


class Buffer(NamedTuple):
    """`size` bytes from moment `start` to moment `end`, both included, that `maker` writes in the shape `shape`."""

    size: int
    start: int
    end: int
    maker: str
    shape: tuple[int, ...]


class Timeline(NamedTuple):
    """The buffers of a program; `written`, `last_read`: of the values in its own memory, not in that of loops."""

    buffers: list[Buffer]
    length: int
    written: dict[int, int]
    last_read: dict[int, int]
    made: Fused


def timeline(program: Program, early: bool, carried: int = 0, stacked: int = 0, overwriting: int = 0) -> Timeline:
    """Run a program on paper.

    `early`: every operation as soon as what it reads is there, which XLA does on CPU, where it orders operations for
    concurrency (an attention's scores for the backward pass are then made in the forward pass, in an unrolled model);
    else in the order of the program, as compilers do that schedule for memory.
    In the body of a loop the first `carried` outputs go round, the next `stacked` are written where they belong.
    The first `overwriting` outputs are written over arguments, and take no memory of their own.
    """
    made = fused(program, program.inputs)
    run = _Run(program, made, early, carried, stacked, overwriting)
    return Timeline(run.buffers(), run.length, run.start, run.read, made)


class _Run:
    def __init__(self, program: Program, made: Fused, early: bool, carried: int, stacked: int, overwriting: int):
        self.program, self.made, self.early, self.carried, self.stacked = program, made, early, carried, stacked
        self.overwriting = {source for output in program.outputs[:overwriting] for source in made.sources(output)}
        self.operations = made.operations
        nodes = [at for at, one in enumerate(self.operations) if any(made.kept[value] for value in one.outputs)]
        self.reads = {at: made.reads(self.operations[at]) for at in nodes}
        self.order = self._early(nodes) if early else nodes
        self.inner: list[Buffer] = []
        self.span = self._moments()
        self.read = self._last_reads()
        self.start = self._starts()

    def _early(self, nodes: Sequence[int]) -> list[int]:
        """First come, first served among the operations whose operands are there."""
        waits: dict[int, int] = {}
        then: defaultdict[int, list[int]] = defaultdict(list)
        for at in nodes:
            before = {self.made.maker[value] for value in self.reads[at] if value in self.made.maker}
            before -= {at}
            waits[at] = len(before)
            for one in before:
                then[one].append(at)
        ready, order = deque(at for at in nodes if not waits[at]), []
        while ready:
            at = ready.popleft()
            order.append(at)
            for following in then[at]:
                waits[following] -= 1
                if not waits[following]:
                    ready.append(following)
        return order

    def _moments(self) -> dict[int, tuple[int, int]]:
        """The first and the last moment of each operation: a loop lasts as long as its body, whose buffers it has."""
        now, span = BEGINNING + 1, {}
        for at in self.order:
            first, operation = now, self.operations[at]
            if operation.body is not None:
                body = loop_body(operation)
                carried = operation.parameters["num_carry"]
                inside = timeline(body, self.early, carried, len(body.outputs) - carried)
                self.inner += [one._replace(start=one.start + now, end=one.end + now) for one in inside.buffers]
                now += inside.length
            span[at] = first, now
            now += 1
        self.length = now
        return span

    def _last_reads(self) -> dict[int, int]:
        last: dict[int, int] = {}
        for at in self.order:
            for value in self.reads[at]:
                last[value] = max(last.get(value, 0), self.span[at][1])
        for position, output in enumerate(self.program.outputs):
            for value in self.made.sources(output):
                end = self.length
                if self.stacked and position >= self.carried:  # written into its stack at once
                    end = self.span[self.made.maker[value]][1] + 1 if value in self.made.maker else 0
                last[value] = max(last.get(value, 0), end)
        return last

    def _starts(self) -> dict[int, int]:
        start = {}
        for at in self.order:
            operation = self.operations[at]
            for position, value in enumerate(operation.outputs):
                if self.made.kept[value]:
                    stack = operation.body is not None and position >= operation.parameters["num_carry"]
                    # A loop's stacks are filled with zeros first, for which nothing need be waited for.
                    start[value] = BEGINNING if stack and self.early else self.span[at][0]
        return start

    def buffers(self) -> list[Buffer]:
        end, nothing = self._in_place()
        found = [
            Buffer(
                self.program.size(value),
                start,
                max(end.get(value, start), start),
                self.operations[self.made.maker[value]].primitive,
                self.program.shapes[value],
            )
            for value, start in self.start.items()
            if value not in nothing and value not in self.overwriting
        ]
        return [one for one in self.inner + found if one.size]

    def _in_place(self) -> tuple[dict[int, int], set[int]]:
        """The last moment of every value, and those that take no memory of their own.

        A pointwise operation writes over an operand that nobody reads later, a loop over what it begins with.
        """
        end, nothing, taken = dict(self.read), set[int](), set[int]()
        program, outputs = self.program, self.program.outputs
        given = program.inputs[-self.carried :] if self.carried else []
        for at in self.order:
            operation = self.operations[at]
            loop = operation.body is not None
            if not loop and operation.primitive not in POINTWISE:
                continue
            first, last = self.span[at]
            for position, value in enumerate(operation.outputs):
                if value not in self.start:
                    continue
                candidates: Sequence[int] = sorted(self.reads[at])
                if loop:
                    if position >= operation.parameters["num_carry"]:
                        continue
                    candidates = self.made.sources(operation.inputs[operation.parameters["num_consts"] + position])
                for other in candidates:
                    if other in taken or end.get(other) != last or program.size(other) != program.size(value):
                        continue
                    if other in self.made.inputs:
                        goes_round = other in given and value in outputs[: self.carried]
                        if goes_round and outputs.index(value) == given.index(other):
                            nothing.add(value)
                            taken.add(other)
                            break
                    elif other not in outputs:
                        end[other] = first - 1
                        taken.add(other)
                        break
        for output in outputs[self.carried :] if self.stacked else ():
            for value in self.made.sources(output):
                if value in self.start and self._pointwise(value) and self._only_returned(value):
                    nothing.add(value)
        return end, nothing

    def _pointwise(self, value: int) -> bool:
        return self.operations[self.made.maker[value]].primitive in POINTWISE

    def _only_returned(self, value: int) -> bool:
        following = [value]
        while following:
            for at in self.made.readers[following.pop()]:
                if self.operations[at].primitive not in RENAMING:
                    return False
                following += self.operations[at].outputs
        return True


def loop_body(operation: Operation) -> Program:
    """The body of a loop as a program that reads its part of each stack for itself; what goes round is given last."""
    body = operation.body
    assert body is not None
    constants, carried = operation.parameters["num_consts"], operation.parameters["num_carry"]
    shapes, widths = list(body.shapes), list(body.widths)
    program = Program(shapes, widths, [], [], list(body.outputs))
    stacks = []
    for part in body.inputs[constants + carried :]:
        stacks.append(program.like(part))
        program.operations.append(Operation("dynamic_slice", (stacks[-1],), (part,)))
    program.operations += body.operations
    program.inputs = [*body.inputs[:constants], *stacks, *body.inputs[constants : constants + carried]]
    return program


def peak(buffers: Sequence[Buffer]) -> tuple[int, int]:
    """(the most bytes that lie in memory at once, the moment)."""
    change: defaultdict[int, int] = defaultdict(int)
    for one in buffers:
        change[one.start] += one.size
        change[one.end + 1] -= one.size
    now = most = moment = 0
    for at in sorted(change):
        now += change[at]
        if now > most:
            most, moment = now, at
    return most, moment


def arranged(buffers: Sequence[Buffer], lent: Sequence[tuple[int, Sequence[tuple[int, int]]]] = ()) -> int:
    """Bytes that the buffers take once each has its place: large ones first, each in the tightest gap it fits in.

    `lent`: places of a fixed size, and when they are taken, which are used first and not counted.
    """
    places = [(size, list(taken)) for size, taken in sorted(lent)]
    settled: list[tuple[int, Buffer]] = []
    top = 0
    for one in sorted(buffers, key=lambda one: (-one.size, one.start)):
        if one.maker != COPY:
            free = (t for size, t in places if size >= one.size and all(one.end < a or one.start > b for a, b in t))
            if (taken := next(free, None)) is not None:
                taken.append((one.start, one.end))
                continue
        beside = sorted((o, o + two.size) for o, two in settled if two.end >= one.start and two.start <= one.end)
        best, gap, reached = None, 0, 0
        for low, high in beside:
            if low - reached >= one.size and (best is None or low - reached < gap):
                best, gap = reached, low - reached
            reached = max(reached, high)
        offset = reached if best is None else best
        settled.append((offset, one))
        top = max(top, offset + one.size)
    return top


COPY = "copy"
"""What makes a copy of an argument: it gets no place in the memory of another."""
