"""Charts, tables and self-contained pages; what is drawn is up to the caller."""

from artune.extras import require

require("report", "writing a page with charts")  # here, so that a command says so before it computes for hours
