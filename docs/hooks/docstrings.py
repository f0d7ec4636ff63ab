"""Makes Keras's order of a docstring readable to the site's parser.

Keras writes `Example:` and then the example without indenting it, which
Markdown would take for a quotation. The parser knows no arguments of a call
and no shapes either: they become a list and a paragraph.
"""

import re
import textwrap

import griffe

HEADER = re.compile(r"^[A-Z][\w ]*:$")
ARGUMENT = re.compile(r"^(\*{0,2}\w+): (.*)$")
LIST, TEXT = ("Call arguments:",), ("Input shape:", "Output shape:")


def _sections(text):
    """The headers of a docstring, and the lines under each."""
    found = [("", [])]
    for line in text.split("\n"):
        if HEADER.match(line):
            found.append((line, []))
        else:
            found[-1][1].append(line)
    return found


def _list(lines):
    for line in textwrap.dedent("\n".join(lines)).strip("\n").split("\n"):
        argument = ARGUMENT.match(line)
        yield f"- **`{argument[1]}`**: {argument[2]}" if argument else line


def _readable(header, lines):
    if header == "Example:":
        return ["Examples:", *(f"    {line}" if line else "" for line in lines)]
    if header in LIST:
        return [f"**{header}**", "", *_list(lines), ""]
    if header in TEXT:
        text = textwrap.dedent("\n".join(lines)).strip("\n")
        return [f"**{header}**", "", text, ""]
    return [header, *lines] if header else lines


class KerasDocstrings(griffe.Extension):
    """Rewrites every docstring that the site shows."""

    def on_object(self, *, obj, **kwargs):
        if obj.docstring:
            obj.docstring.value = "\n".join(
                line
                for section in _sections(obj.docstring.value)
                for line in _readable(*section)
            )
