"""Strict parsers of JSON and YAML 1.2 (core schema), with the position of each error."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Protocol, cast

import yaml

from service.errors import BadBodyError, quote_value
from studies.validation.faults import MAX_NAMED_FAULTS, Fault, json_pointer

#: Deeper nesting could exhaust the stack; no study needs it.
MAX_DEPTH = 32

#: More values, or longer keys, could take seconds to check and megabytes to answer; no study needs them.
MAX_VALUES, MAX_KEY_LENGTH = 10_000, 100
#: A value is at most three events of YAML: its key, its start and its end.
_EVENTS_PER_VALUE = 3

#: Longer integers are read as infinite, and so rejected: Python is very slow at reading very long ones.
_MAX_DIGITS = 300

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
    """A position in a YAML text; PyYAML has two such classes without a common base."""

    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...


def parse_json(content: bytes) -> object:
    """Parse JSON.

    Args:
        content: The text, in UTF-8.

    Raises:
        BadBodyError: It is no JSON, repeats a key, is nested too deeply, or has values that no study can have.
    """
    text = _decode(content)
    try:
        document: object = json.loads(text, object_pairs_hook=_unique_keys, parse_int=_parse_int)
    except json.JSONDecodeError as error:
        raise BadBodyError(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from error
    except RecursionError as error:
        raise _nesting_error() from error
    _check_values(document)
    return document


def parse_yaml(content: bytes) -> object:
    """Parse YAML.

    Args:
        content: The text, in UTF-8: one document without anchors, aliases and tags.

    Raises:
        BadBodyError: It is no such YAML, repeats a key, is nested too deeply, or has values that no study can have.
    """
    text = _decode(content)
    try:
        document = _parse_document(_limit_events(yaml.parse(text, Loader=yaml.CSafeLoader)))
    except yaml.MarkedYAMLError as error:
        problem = error.problem or error.context or "unreadable"
        raise BadBodyError(f"not YAML: {problem}{_position(error.problem_mark or error.context_mark)}") from error
    except yaml.YAMLError as error:
        raise BadBodyError(f"not YAML: {error}") from error
    _check_values(document)
    return document


def _decode(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadBodyError(f"not UTF-8: byte {content[error.start]:#04x} at offset {error.start}") from error
    if not text.strip():
        raise BadBodyError("the body is empty; post a study")
    return text


def _unique_keys(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for key, value in pairs:
        if key in members:
            raise BadBodyError(f"the key {quote_value(key)} is given twice in one object; give it once")
        members[key] = value
    return members


def _parse_int(digits: str) -> float:
    return int(digits) if len(digits) <= _MAX_DIGITS else math.inf


def _nesting_error() -> BadBodyError:
    return BadBodyError(f"nested deeper than {MAX_DEPTH} levels; a study is flatter")


def _size_error(faults: Sequence[Fault] = ()) -> BadBodyError:
    return BadBodyError(f"more than {MAX_VALUES} values; a study is smaller", faults)


def _check_values(document: object) -> None:
    """Reject what no study can have, without recursion.

    That is: many values, deep nesting, long keys, numbers that are not finite, and text that is not Unicode.
    """
    found: list[tuple[tuple[object, ...], str]] = []
    pending: list[tuple[tuple[object, ...], object]] = [((), document)]
    values = 1
    while pending:
        path, value = pending.pop()
        fault = _find_fault(value)
        if fault is not None:
            found.append((path, fault))
        if not isinstance(value, dict | list):
            continue
        if len(path) >= MAX_DEPTH:
            raise _nesting_error()
        values += len(cast(Sized, value))
        if values > MAX_VALUES:
            detail = f"it has {len(cast(Sized, value))} values; give fewer"
            raise _size_error([Fault(pointer=json_pointer(*path), detail=detail)])
        if isinstance(value, dict):
            members = cast(dict[str, object], value)
            _check_key_lengths(members, path)
            found += [(path, key_fault) for key in members if (key_fault := _find_fault(key))]
        else:
            members = dict(enumerate(cast(list[object], value)))
        pending += [((*path, key), member) for key, member in reversed(members.items())]
    if found:
        more = len(found) - MAX_NAMED_FAULTS
        counted = f"; `faults` names {MAX_NAMED_FAULTS} of them, {more} more are there" if more > 0 else ""
        faults = [Fault(pointer=json_pointer(*path), detail=fault) for path, fault in found[:MAX_NAMED_FAULTS]]
        raise BadBodyError(f"the body has values that no study can have{counted}", faults)


def _check_key_lengths(keys: Iterable[str], path: Sequence[object]) -> None:
    """Reject long keys at once: each is part of the pointers of all that is below it."""
    for key in keys:
        if len(key) > MAX_KEY_LENGTH:
            detail = f"the key {quote_value(key)} has {len(key)} characters; no key is longer than {MAX_KEY_LENGTH}"
            raise BadBodyError(
                "the body has a key that no study can have", [Fault(pointer=json_pointer(*path), detail=detail)]
            )


def _find_fault(value: object) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN, an infinity, or a number too large to be held; give a finite number"
    if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        return f"{value[:60]!r} has half of a surrogate pair; give Unicode text"
    return None


def _limit_events(events: Iterator[yaml.Event]) -> Iterator[yaml.Event]:
    """Yield events while there are few: reading them takes much longer than reading JSON."""
    for count, event in enumerate(events):
        if count > MAX_VALUES * _EVENTS_PER_VALUE:
            raise _size_error()
        yield event


def _parse_document(events: Iterator[yaml.Event]) -> object:
    next(events)  # the stream's start
    if isinstance(next(events), yaml.StreamEndEvent):
        raise BadBodyError("the body is empty; post a study")
    document = _parse_node(events, next(events), 0)
    next(events)  # the document's end
    end = next(events)
    if not isinstance(end, yaml.StreamEndEvent):
        raise BadBodyError(f"a second document{_position(end.start_mark)}; post one study at a time")
    return document


def _parse_node(events: Iterator[yaml.Event], event: yaml.Event, depth: int) -> object:
    _reject_references(event)
    if isinstance(event, yaml.ScalarEvent):
        return _parse_scalar(event)
    if depth >= MAX_DEPTH:
        raise _nesting_error()
    if isinstance(event, yaml.SequenceStartEvent):
        return _parse_sequence(events, depth)
    return _parse_mapping(events, depth)


def _parse_sequence(events: Iterator[yaml.Event], depth: int) -> list[object]:
    items: list[object] = []
    while not isinstance(event := next(events), yaml.SequenceEndEvent):
        items.append(_parse_node(events, event, depth + 1))
    return items


def _parse_mapping(events: Iterator[yaml.Event], depth: int) -> dict[str, object]:
    members: dict[str, object] = {}
    while not isinstance(key := next(events), yaml.MappingEndEvent):
        _reject_references(key)
        if not isinstance(key, yaml.ScalarEvent):
            raise BadBodyError(f"a key that is no text{_position(key.start_mark)}")
        if key.value in members:
            raise BadBodyError(
                f"the key {quote_value(key.value)} is given twice{_position(key.start_mark)}; give it once"
            )
        members[key.value] = _parse_node(events, next(events), depth + 1)
    return members


def _reject_references(event: yaml.Event) -> None:
    if isinstance(event, yaml.AliasEvent):
        raise BadBodyError(
            f"the alias *{str(event.anchor)[:60]}{_position(event.start_mark)}; aliases are refused, write it out"
        )
    if isinstance(event, yaml.NodeEvent) and event.anchor is not None:
        raise BadBodyError(
            f"the anchor &{event.anchor[:60]}{_position(event.start_mark)}; anchors are refused, remove it"
        )
    tag = event.tag if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) else None
    if tag is not None:
        raise BadBodyError(f"the tag {tag[:60]}{_position(event.start_mark)}; tags are refused, remove it")


def _parse_scalar(event: yaml.ScalarEvent) -> object:
    """Return a scalar's value by YAML 1.2's core schema (in PyYAML's own, 1.1, `1e-3` is text and `no` is false)."""
    text = str(event.value)
    if event.style:  # quoted or a block: text
        return text
    if text in _YAML_WORDS:
        return _YAML_WORDS[text]
    if _YAML_INT.fullmatch(text):
        return _parse_int(text)
    if _YAML_BASED_INT.fullmatch(text):
        return int(text, 0) if len(text) <= _MAX_DIGITS else math.inf
    if _YAML_FLOAT.fullmatch(text):
        return float(text)
    if _YAML_INFINITE.fullmatch(text):
        return math.inf
    return text


def _position(mark: _Mark | None) -> str:
    return "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
