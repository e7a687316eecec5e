"""The examples of README.md, for the tests that run them as they stand there."""

import os
import re

SOURCE = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))


def blocks(heading, language="sh"):
    """A section's blocks of that language, in order."""
    with open(f"{SOURCE}/README.md") as file:
        section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ [A-Z]|\Z)", file.read(), re.MULTILINE | re.DOTALL)
    assert section, f"README.md has no section {heading}"
    found = re.findall(rf"^```{language}\n(.*?)^```$", section.group(1), re.MULTILINE | re.DOTALL)
    assert found, f"README.md has no block of {language} in {heading}"
    return found


def block(heading, word, language="sh"):
    """The one of them that has this word."""
    found = [each for each in blocks(heading, language) if word in each]
    assert len(found) == 1, f"README.md has {len(found)} blocks of {language} with {word} in {heading}"
    return found[0]
