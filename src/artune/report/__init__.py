"""Charts, tables and self-contained pages, of whatever the caller gives."""

from artune.extras import require

require("report", "writing a page with charts")  # here, so that a command fails before it computes for hours
