"""The page's types of everything that travels on the socket, made from the server's own shapes.

`socialflow openapi --messages web/src/kit/messages.ts` writes them, running this module in a
process of its own; a test holds the committed file against it.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, get_args

import msgspec
from msgspec import inspect as shapes

from serve_apps.edge.socket_answers import EVENTS, Answer, ChannelState
from serve_apps.edge.socket_words import Words

HEADER = """\
/**
 * What travels on the socket, made from the server's shapes by `make openapi`: change
 * `actors/live_room/events.py`, `serve_apps/edge/socket_answers.py` or `socket_words.py` instead.
 */
"""
NUMBERS = (shapes.IntType, shapes.FloatType)
TEXTS = (shapes.StrType, shapes.UUIDType, shapes.DateTimeType)


def render_messages() -> str:
    """Return the module of the page."""
    roots = [*get_args(Words), *get_args(Answer), ChannelState, *EVENTS.values()]
    written = [_write_struct(kind) for kind in _list_structs(roots)]
    events = "".join(f"  {name}: {shape.__name__};\n" for name, shape in EVENTS.items())
    unions = [
        _write_union("Words", get_args(Words), "Everything a client may say."),
        _write_union("Answer", get_args(Answer), "What the edge answers; events are the rest."),
        "/** What each kind of event carries. */\nexport interface EventData {\n" + events + "}\n",
    ]
    return HEADER + "\n" + "\n".join([*written, *unions])


def _list_structs(roots: Iterable[type]) -> list[type[msgspec.Struct]]:
    """Return the shapes and what they are made of, each once and after its parts."""
    found: dict[type[msgspec.Struct], None] = {}

    def visit(info: Any) -> None:
        for part in _list_parts(info):
            visit(part)
        if isinstance(info, shapes.StructType):
            found.setdefault(info.cls)

    for root in roots:
        visit(shapes.type_info(root))
    names = [kind.__name__ for kind in found]
    assert len(set(names)) == len(names), "two shapes of one name"
    return list(found)


def _list_parts(info: Any) -> Iterator[Any]:
    if isinstance(info, shapes.StructType):
        yield from (field.type for field in info.fields)
    elif isinstance(info, shapes.UnionType):
        yield from info.types
    elif isinstance(info, shapes.ListType):
        yield info.item_type
    elif isinstance(info, shapes.DictType):
        yield info.value_type


def _write_struct(kind: type[msgspec.Struct]) -> str:
    info = shapes.type_info(kind)
    assert isinstance(info, shapes.StructType), "only shapes are listed"
    lines = [] if info.tag is None else [f"  type: {json.dumps(info.tag)};\n"]
    for field in info.fields:
        mark = "" if field.required else "?"
        lines.append(f"  {field.encode_name}{mark}: {_write_type(field.type)};\n")
    body = "{\n" + "".join(lines) + "}" if lines else "{}"
    return f"/** {_read_sentence(kind)} */\nexport interface {kind.__name__} {body}\n"


def _write_union(name: str, parts: Iterable[type], sentence: str) -> str:
    body = "".join(f"\n  | {part.__name__}" for part in parts)
    return f"/** {sentence} */\nexport type {name} ={body};\n"


def _write_type(info: Any) -> str:
    """Return a type of the page for one of ours; raises KeyError for one that has none yet."""
    if isinstance(info, shapes.StructType):
        return info.cls.__name__
    if isinstance(info, shapes.UnionType):
        return " | ".join(_write_type(part) for part in info.types if not _is_unset(part))
    if isinstance(info, shapes.ListType):
        item = _write_type(info.item_type)
        return f"({item})[]" if "|" in item else f"{item}[]"
    if isinstance(info, shapes.DictType):
        record = f"Record<{_write_type(info.key_type)}, {_write_type(info.value_type)}>"
        return f"Partial<{record}>" if isinstance(info.key_type, shapes.LiteralType) else record
    if isinstance(info, shapes.EnumType):
        return " | ".join(json.dumps(str(member)) for member in info.cls)
    if isinstance(info, shapes.LiteralType):
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in info.values)
    if isinstance(info, NUMBERS):
        return "number"
    if isinstance(info, TEXTS):
        return "string"
    return {shapes.BoolType: "boolean", shapes.NoneType: "null"}[type(info)]


def _is_unset(info: Any) -> bool:
    return isinstance(info, shapes.CustomType) and info.cls is msgspec.UnsetType


def _read_sentence(kind: type) -> str:
    text = inspect.getdoc(kind) or ""
    return " ".join(text.split("\n\n")[0].split())


if __name__ == "__main__":
    sys.stdout.write(render_messages())
