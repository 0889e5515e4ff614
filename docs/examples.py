"""Lets examples in docstrings be shown as code: griffe knows them by the title `Examples` alone."""

from typing import Any

from griffe import Extension, Object


class Examples(Extension):
    """Renames the section."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Called once an object is read."""
        if obj.docstring is not None:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
