"""The command line: ``drone-formation list | train | evaluate | fly | record | bench``.

Whatever a command needs is imported when it runs, so that ``--help`` and ``list`` stay quick.
"""

from .program import main

__all__ = ["main"]
