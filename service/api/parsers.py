"""Reads a posted body: JSON and YAML 1.2 (core schema) strictly, with the place of what cannot be read."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Protocol, cast

import yaml

from service.errors import BadBodyError
from studies.validation.faults import Fault, pointer

#: Objects and lists nested deeper than this are no study, and could exhaust the stack of what reads them.
MAX_DEPTH = 32

#: Longer whole numbers are read as infinite, that is refused: Python takes very long to read very long ones.
_MOST_DIGITS = 300

_YAML_INT = re.compile(r"[-+]?[0-9]+")
_YAML_BASED_INT = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_YAML_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_YAML_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
_YAML_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}


class _Mark(Protocol):
    """A place in a YAML text; PyYAML has two classes of it without a common base."""

    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...


def parse_json(content: bytes) -> object:
    """Return what a JSON body says.

    Args:
        content: UTF-8.

    Raises:
        BadBodyError: It is not JSON, repeats a key, is nested too deeply, or has values that no study can have.
    """
    text = _decoded(content)
    try:
        found: object = json.loads(text, object_pairs_hook=_without_repeats, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise BadBodyError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise _too_deep() from error
    _check(found)
    return found


def parse_yaml(content: bytes) -> object:
    """Return what a YAML body says.

    Args:
        content: UTF-8, one document without anchors, aliases and tags.

    Raises:
        BadBodyError: It is not such YAML, repeats a key, is nested too deeply, or has values that no study can have.
    """
    text = _decoded(content)
    try:
        found = _document(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        what = error.problem or error.context or "unreadable"
        raise BadBodyError(f"not YAML: {what}{_place(error.problem_mark or error.context_mark)}") from error
    except yaml.YAMLError as error:
        raise BadBodyError(f"not YAML: {error}") from error
    _check(found)
    return found


def _decoded(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadBodyError(f"not UTF-8: byte {content[error.start]:#04x} at offset {error.start}") from error
    if not text.strip():
        raise BadBodyError("the body is empty; post a study")
    return text


def _without_repeats(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise BadBodyError(f"the key {key!r} is given twice in one object; give it once")
        found[key] = value
    return found


def _whole(digits: str) -> float:
    return int(digits) if len(digits) <= _MOST_DIGITS else math.inf


def _too_deep() -> BadBodyError:
    return BadBodyError(f"nested deeper than {MAX_DEPTH} levels; a study is flatter")


def _check(document: object) -> None:
    """Refuse numbers that are not finite, text that is not Unicode, and deep nesting (no recursion here)."""
    faults: list[Fault] = []
    unseen: list[tuple[tuple[object, ...], object]] = [((), document)]
    while unseen:
        path, value = unseen.pop()
        if len(path) >= MAX_DEPTH and isinstance(value, dict | list):
            raise _too_deep()
        fault = _fault(value)
        if fault is not None:
            faults.append(Fault(pointer=pointer(*path), detail=fault))
        if isinstance(value, dict):
            members = cast(dict[str, object], value)
            faults += [Fault(pointer=pointer(*path), detail=found) for key in members if (found := _fault(key))]
            unseen += [((*path, key), member) for key, member in members.items()]
        elif isinstance(value, list):
            unseen += [((*path, i), member) for i, member in enumerate(cast(list[object], value))]
    if faults:
        faults.sort(key=lambda fault: fault.pointer)
        raise BadBodyError("the body has values that no study can have", faults)


def _fault(value: object) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN, an infinity, or a number too large to be held; give a finite number"
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        return f"{value[:60]!r} has half of a surrogate pair; give Unicode text"
    return None


def _document(events: Iterator[yaml.Event]) -> object:
    next(events)  # the stream's start
    if isinstance(next(events), yaml.StreamEndEvent):
        raise BadBodyError("the body is empty; post a study")
    found = _node(events, next(events), 0)
    next(events)  # the document's end
    after = next(events)
    if not isinstance(after, yaml.StreamEndEvent):
        raise BadBodyError(f"a second document{_place(after.start_mark)}; post one study at a time")
    return found


def _node(events: Iterator[yaml.Event], event: yaml.Event, depth: int) -> object:
    _refuse_references(event)
    if isinstance(event, yaml.ScalarEvent):
        return _scalar(event)
    if depth >= MAX_DEPTH:
        raise _too_deep()
    if isinstance(event, yaml.SequenceStartEvent):
        return _sequence(events, depth)
    return _mapping(events, depth)


def _sequence(events: Iterator[yaml.Event], depth: int) -> list[object]:
    found: list[object] = []
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        found.append(_node(events, event, depth + 1))
    return found


def _mapping(events: Iterator[yaml.Event], depth: int) -> dict[str, object]:
    found: dict[str, object] = {}
    while not isinstance(key := next(events), yaml.MappingEndEvent):
        _refuse_references(key)
        if not isinstance(key, yaml.ScalarEvent):
            raise BadBodyError(f"a key that is no text{_place(key.start_mark)}")
        if key.value in found:
            raise BadBodyError(f"the key {key.value!r} is given twice{_place(key.start_mark)}; give it once")
        found[key.value] = _node(events, next(events), depth + 1)
    return found


def _refuse_references(event: yaml.Event) -> None:
    if isinstance(event, yaml.AliasEvent):
        raise BadBodyError(f"the alias *{event.anchor}{_place(event.start_mark)}; aliases are refused, write it out")
    if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
        raise BadBodyError(f"the anchor &{event.anchor}{_place(event.start_mark)}; anchors are refused, remove it")
    tag = event.tag if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) else None
    if tag is not None:
        raise BadBodyError(f"the tag {tag}{_place(event.start_mark)}; tags are refused, remove it")


def _scalar(event: yaml.ScalarEvent) -> object:
    """Return a scalar's value by YAML 1.2's core schema (PyYAML's own is 1.1's: `1e-3` is text there, `no` false)."""
    text = str(event.value)
    if event.style:  # quoted or a block: text
        return text
    if text in _YAML_WORDS:
        return _YAML_WORDS[text]
    if _YAML_INT.fullmatch(text):
        return _whole(text)
    if _YAML_BASED_INT.fullmatch(text):
        return int(text, 0) if len(text) <= _MOST_DIGITS else math.inf
    if _YAML_FLOAT.fullmatch(text):
        return float(text)
    if _YAML_INFINITE.fullmatch(text):
        return math.inf
    return text


def _place(mark: _Mark | None) -> str:
    return "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
