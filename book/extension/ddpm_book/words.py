"""The extension's own words: every sentence that it writes on a page or into a notebook.

An edition in another language gives each template its translation here, and nowhere else. So a
template is a literal and a whole sentence, with named holes for what only the page knows.
"""


def say(template: str, **holes: str) -> str:
    """The words of this edition, their holes filled: say("Show the {noun}", noun="check")."""
    return template.format(**holes)
