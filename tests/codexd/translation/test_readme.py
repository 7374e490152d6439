"""The tables of fates in the package's README are those of the code. As a script, this writes them."""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from codexd.translation import chat, messages, responses
from codexd.translation.chat import fates as chat_fates
from codexd.translation.messages import fates as messages_fates
from codexd.translation.reading.fates import Fate
from codexd.translation.responses import fates as responses_fates

README = Path(messages.__file__).parents[1] / "README.md"
APIS = {
    package.__name__.rpartition(".")[2]: fates.TABLES
    for package, fates in ((messages, messages_fates), (chat, chat_fates), (responses, responses_fates))
}
TITLES = {
    "allowed": "allowed tools",
    "block": "content block",
    "call": "tool call",
    "called": "function that is called",
    "custom": "custom tool",
    "custom_called": "custom tool that is called",
    "document_source": "source of a document",
    "edit": "context edit",
    "file": "file part",
    "format": "format",
    "grammar": "grammar",
    "image_source": "source of an image",
    "item": "input item",
    "location": "user location",
    "named": "named tool",
    "part": "content part",
    "tool_change": "tool change",
    "web_search": "web search options",
}
"""What the tables are about, where their name does not say it."""


def list_rows(table):
    """(fate, reason) -> the code spans of the types, and of the fields, that have it."""
    rows = defaultdict(lambda: ([], []))
    described = {name: Counter() for shape in table.shapes.values() for name in shape.fields}
    for shape in table.shapes.values():
        for name, rule in shape.fields.items():
            described[name][describe(rule)] += 1
    for kind, shape in table.shapes.items():
        if kind:
            rows[describe(shape.rule)][0].append(f"`{kind}`")
        for name, rule in shape.fields.items():
            usual = [row for row, number in described[name].items() if number == max(described[name].values())]
            span = f"`{name}`" if usual == [describe(rule)] or not kind else f"`{kind}.{name}`"
            fields = rows[describe(rule)][1]
            if span not in fields:
                fields.append(span)
    if table.unknown is not None:
        rows[describe(table.unknown)][0].append("any other")
    return rows


def describe(rule):
    harmless = " or ".join(f"`{json.dumps(value)}`" for value in rule.unless)
    return rule.fate, "; ".join(filter(None, [rule.reason, f"no loss if {harmless}" if harmless else ""]))


def write_table(tables):
    lines = ["| In | Types | Fields | Fate | Why, and what is done |", "| --- | --- | --- | --- | --- |"]
    for name, table in tables.items():
        title = TITLES.get(name, name.replace("_", " "))
        rows = sorted(list_rows(table).items(), key=lambda row: list(Fate).index(row[0][0]))
        lines += [
            f"| {title} | {', '.join(types)} | {', '.join(fields)} | {fate.value} | {why} |"
            for (fate, why), (types, fields) in rows
        ]
    return "\n".join(lines) + "\n"


def tables_of(name):
    """The tables of an API without those that it takes from Anthropic's."""
    shared = APIS["messages"] if name != "messages" else {}
    return {key: table for key, table in APIS[name].items() if shared.get(key) is not table}


def split(text, name):
    """The text around the table of an API, and the table."""
    before, start, rest = text.partition(f"<!-- {name} -->\n")
    found, end, after = rest.partition("<!-- end -->")
    return before + start, found, end + after


@pytest.mark.parametrize("name", APIS)
def test_the_tables_are_those_of_the_code(name):
    _, found, _ = split(README.read_text(), name)
    assert found == write_table(tables_of(name)), f"run python {Path(__file__).name}"


@pytest.mark.parametrize("name", APIS)
def test_every_type_and_field_of_the_code_is_in_the_table_with_its_fate(name):
    """This reads the table by another way than the one that writes it."""
    rows = [line.split(" | ") for line in split(README.read_text(), name)[1].splitlines()]
    listed = {(span, row[3]) for row in rows for column in row[1:3] for span in re.findall(r"`([^`]+)`", column)}
    for table in tables_of(name).values():
        for kind, shape in table.shapes.items():
            assert not kind or (kind, shape.rule.fate.value) in listed
            for field, rule in shape.fields.items():
                assert {(field, rule.fate.value), (f"{kind}.{field}", rule.fate.value)} & listed


if __name__ == "__main__":
    for api in APIS:
        before, _, after = split(README.read_text(), api)
        README.write_text(before + write_table(tables_of(api)) + after)
