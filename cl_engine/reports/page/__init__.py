"""A sweep as one HTML page that opens anywhere: no network, no server, and no script needed to read it.

:func:`page_of` takes what was read from folders of runs, :func:`write_page` writes the file,
:func:`write_figures` its charts one by one.
"""

from cl_engine.reports.page.figures import plot, write_figures
from cl_engine.reports.page.page import LISTED, Page, listed, page_of, write_page

__all__ = ["LISTED", "Page", "listed", "page_of", "plot", "write_figures", "write_page"]
