"""A sweep as one HTML page that opens anywhere: no network, no server, and no script needed to read it.

:func:`write_page` takes a :class:`Page` and writes the file.
"""

from cl_engine.reports.page.page import Page, write_page

__all__ = ["Page", "write_page"]
