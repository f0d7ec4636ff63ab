"""Runs the notebooks when the site is built, and shows what they print.

A notebook is a Python script in `docs/notebooks` with cells that start with
`# %%`. It is also run by the tests, on each backend.
"""

import functools
import re
from pathlib import Path

import jupytext
import nbclient
import nbconvert
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File
from traitlets.config import Config

SECONDS = 300


@functools.cache
def _executed(text):
    """Markdown with outputs, and the pictures in it by their file names."""
    notebook = jupytext.reads(text, fmt="py:percent")
    nbclient.NotebookClient(
        notebook,
        timeout=SECONDS,
        # Through the file system: a port would be open to everyone here.
        config=Config(KernelManager={"transport": "ipc"}),
    ).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                raise PluginError(f"A cell warns: {output['text']}")
    notebook.cells = [
        cell
        for cell in notebook.cells
        # What the tests check is not for the reader.
        if "remove" not in cell.metadata.get("tags", [])
    ]
    body, resources = nbconvert.MarkdownExporter().from_notebook_node(notebook)
    return body, resources["outputs"]


def on_files(files, config):
    for path in sorted((Path(config.docs_dir) / "notebooks").glob("*.py")):
        body, pictures = _executed(path.read_text(encoding="utf-8"))
        for name, content in pictures.items():
            body = body.replace(
                f"![png]({name})",
                f"![What the code above draws]({path.stem}_{name})",
            )
            files.append(
                File.generated(
                    config,
                    f"notebooks/{path.stem}_{name}",
                    content=content,
                )
            )
        body += f"\n[Download this notebook as a script]({path.name})\n"
        files.append(
            File.generated(config, f"notebooks/{path.stem}.md", content=body)
        )
    return files


def on_page_markdown(markdown, page, config, files):
    """Link to the page of a notebook, where the source links to its script.

    The repository has only the script, and the site has both.
    """
    if page.file.src_uri.startswith("notebooks/"):
        return markdown
    return re.sub(r"(\((?:\.\./)?notebooks/\w+)\.py\)", r"\1.md)", markdown)
