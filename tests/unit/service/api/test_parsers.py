"""Reading bodies: what JSON and YAML 1.2 say, and everything that is refused, with its place."""

import json
from contextlib import suppress
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.api.parsers import MAX_DEPTH, MAX_KEY_LENGTH, MAX_VALUES, parse_json, parse_yaml
from service.errors import BadBodyError
from studies.validation.faults import MAX_NAMED_FAULTS

PARSERS = pytest.mark.parametrize("parse", [parse_json, parse_yaml])

members = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(derandomize=True, max_examples=100)
@given(members)
def test_json_reads_back_what_was_written(document: Any) -> None:
    assert parse_json(json.dumps(document).encode()) == document
    assert parse_json(json.dumps(document, ensure_ascii=False).encode()) == document


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1e3", 1000.0),
        ("-1.5E+2", -150.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("12", 12),
        ("-012", -12),
        ("0x1F", 31),
        ("0o17", 15),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("no", "no"),  # these are text in YAML 1.2
        ("off", "off"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-01-02", "2026-01-02"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("1e", "1e"),
        ("sgd", "sgd"),
    ],
)
def test_yaml_scalars_are_those_of_version_1_2(text: str, value: object) -> None:
    found = parse_yaml(f"a: {text}".encode())

    assert found == {"a": value}
    assert type(found["a"]) is type(value)  # type: ignore[index]


def test_yaml_reads_a_study() -> None:
    text = b"name: x\nworkloads:\n  - name: digits\n    options: {batch_size: 32}\narms:\n- {name: sgd, search: {}}\n"

    assert parse_yaml(text) == {
        "name": "x",
        "workloads": [{"name": "digits", "options": {"batch_size": 32}}],
        "arms": [{"name": "sgd", "search": {}}],
    }


def test_json_is_yaml() -> None:
    text = b'{"a": [1, 2.5, "x", null, true], "b": {"c": {}}}'
    assert parse_yaml(text) == parse_json(text)


@PARSERS
@pytest.mark.parametrize("content", [b"", b"  \n\t"])
def test_an_empty_body_is_refused(parse: Any, content: bytes) -> None:
    with pytest.raises(BadBodyError, match="empty"):
        parse(content)


@pytest.mark.parametrize("content", [b"# only a comment\n", b"\xef\xbb\xbf"])
def test_yaml_without_a_document_is_refused(content: bytes) -> None:
    with pytest.raises(BadBodyError, match="empty"):
        parse_yaml(content)


@PARSERS
def test_bytes_that_are_not_utf8_are_refused(parse: Any) -> None:
    with pytest.raises(BadBodyError, match="not UTF-8: byte 0xff at offset 6"):
        parse(b'{"a":"\xff"}')


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b'{"a": 1,\n "b": }', "line 2, column 7"),
        (b"{'a': 1}", "line 1, column 2"),
        (b'{"a": 1} x', "line 1, column 10"),
        (b"name: x", "line 1, column 1"),
        (b'{"a": "\x00"}', "line 1, column 8"),
        (b'{"a": 01}', "line 1, column 8"),
        (b"\x00\x01\x02", "line 1, column 1"),
    ],
)
def test_what_is_not_json_is_refused_with_its_place(content: bytes, place: str) -> None:
    with pytest.raises(BadBodyError, match=f"not JSON: .* {place}$"):
        parse_json(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: b: c", "not YAML: .* at line 1, column 5"),
        (b"a: [1,\nb", "not YAML: .* at line 3, column 1"),
        (b'a: "\\ud800"', "not YAML: .* at line 1"),
        (b"a: \x01", "not YAML: .*control characters"),
        (b"a: 1\n---\nb: 2\n", "a second document at line 2, column 1"),
        (b"a: 1\n? [x]\n: 2\n", "a key that is no text at line 2, column 3"),
        (b"a: 1\nb: &x 2\n", "the anchor &x at line 2, column 4"),
        (b"a: *x\n", r"the alias \*x at line 1, column 4"),
        (b"a: !!python/object/apply:os.system [ls]\n", "the tag .*os.system at line 1, column 4"),
        (b"!x a: 1\n", "the tag !x"),
        (b"a: 1\nb: 2\na: 3\n", "the key 'a' is given twice at line 3, column 1"),
    ],
)
def test_yaml_beyond_plain_data_is_refused_with_its_place(content: bytes, message: str) -> None:
    with pytest.raises(BadBodyError, match=message):
        parse_yaml(content)


def test_aliases_that_explode_are_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]

    with pytest.raises(BadBodyError, match="anchors are refused"):
        parse_yaml("\n".join(lines).encode())


def test_a_key_given_twice_in_json_is_refused() -> None:
    with pytest.raises(BadBodyError, match="the key 'b' is given twice"):
        parse_json(b'{"a": {"b": 1, "b": 2}}')


@pytest.mark.parametrize(
    ("parse", "content"),
    [
        (parse_json, b'{"a": [1, %s]}'),
        (parse_yaml, b"a: [1, %s]"),
    ],
)
@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"9" * 5000, b"-" + b"9" * 400])
def test_numbers_too_large_are_named(parse: Any, content: bytes, number: bytes) -> None:
    with pytest.raises(BadBodyError) as caught:
        parse(content % number)

    assert [fault.pointer for fault in caught.value.faults] == ["/a/1"]


@pytest.mark.parametrize("word", [b"NaN", b"Infinity", b"-Infinity"])
def test_words_of_javascript_are_no_numbers(word: bytes) -> None:
    with pytest.raises(BadBodyError) as caught:
        parse_json(b'{"a": %s, "b": {"c/d": %s}}' % (word, word))

    assert [fault.pointer for fault in caught.value.faults] == ["/a", "/b/c~1d"]


@pytest.mark.parametrize("word", [b".nan", b".inf", b"-.INF", b"+.Inf"])
def test_yaml_numbers_that_are_not_finite_are_named(word: bytes) -> None:
    with pytest.raises(BadBodyError) as caught:
        parse_yaml(b"a: " + word)

    assert [fault.pointer for fault in caught.value.faults] == ["/a"]


def test_halves_of_surrogate_pairs_are_named() -> None:
    with pytest.raises(BadBodyError) as caught:
        parse_json(rb'{"a": "\ud800", "b": [{"\udfff": 1}], "c": "\ud83d\ude00"}')

    assert [fault.pointer for fault in caught.value.faults] == ["/a", "/b/0"]


@PARSERS
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 900, 5_000, 100_000])
def test_deep_nesting_is_refused(parse: Any, depth: int) -> None:
    with pytest.raises(BadBodyError, match="nested deeper"):
        parse(b"[" * depth + b"]" * depth)
    with pytest.raises(BadBodyError):
        parse(b'{"a":' * depth + b"1" + b"}" * depth)


@PARSERS
def test_nesting_up_to_the_limit_is_read(parse: Any) -> None:
    parse(b"[" * MAX_DEPTH + b"1" + b"]" * MAX_DEPTH)


@settings(derandomize=True, max_examples=300)
@given(st.binary(max_size=60) | st.text(alphabet="{}[]:,-&*!?|>'\"%@` \nabn1.e~#", max_size=40).map(str.encode))
def test_anything_is_read_or_refused(content: bytes) -> None:
    for parse in (parse_json, parse_yaml):
        with suppress(BadBodyError):
            parse(content)


@PARSERS
@pytest.mark.parametrize("item", [b"1", b"[]", b"{}", b"{a: 1}", b"x"])
def test_many_values_are_refused(parse: Any, item: bytes) -> None:
    if parse is parse_json:
        item = item.replace(b"a", b'"a"').replace(b"x", b'"x"')
    with pytest.raises(BadBodyError, match=f"more than {MAX_VALUES} values"):
        parse(b'{"arms": [' + b", ".join([item] * MAX_VALUES) + b"]}")


def test_values_up_to_the_limit_are_read_and_beyond_it_their_place_is_named() -> None:
    assert len(cast(list[int], parse_json(json.dumps([1] * (MAX_VALUES - 1)).encode()))) == MAX_VALUES - 1
    with pytest.raises(BadBodyError) as caught:
        parse_json(json.dumps({"a": [1], "arms": [1] * MAX_VALUES}).encode())
    (fault,) = caught.value.faults
    assert (fault.pointer, fault.detail) == ("/arms", f"it has {MAX_VALUES} values; give fewer")


def test_of_many_faults_some_are_named_and_all_counted() -> None:
    with pytest.raises(BadBodyError, match=f"names {MAX_NAMED_FAULTS} of them, 50 more are there") as caught:
        parse_json(b"[" + b",".join([b"NaN"] * (MAX_NAMED_FAULTS + 50)) + b"]")
    assert [fault.pointer for fault in caught.value.faults] == [f"/{i}" for i in range(MAX_NAMED_FAULTS)]


@PARSERS
def test_long_keys_are_refused_before_they_are_repeated(parse: Any) -> None:
    key = b"k" * (MAX_KEY_LENGTH + 1)
    with pytest.raises(BadBodyError) as caught:
        parse(b'{"arms": {"' + key + b'": [1e999, 1e999]}}')
    (fault,) = caught.value.faults
    assert fault.pointer == "/arms"
    assert f"has {MAX_KEY_LENGTH + 1} characters" in fault.detail
    assert parse(b'{"' + key[1:] + b'": 1}') == {key[1:].decode(): 1}


def test_what_is_refused_is_shown_in_part_only() -> None:
    long = b"k" * 100_000
    for parse, content in (
        (parse_json, b'{"%s": 1, "%s": 2}' % (long, long)),
        (parse_yaml, b"'%s': 1\n'%s': 2" % (long[:1000], long[:1000])),
        (parse_yaml, b"a: &%s 1" % long),
        (parse_yaml, b"a: *%s" % long),
        (parse_yaml, b"a: !%s 1" % long),
    ):
        with pytest.raises(BadBodyError) as caught:
            parse(content)
        assert len(str(caught.value)) < 300
