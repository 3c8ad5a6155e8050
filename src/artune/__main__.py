"""``python -m artune``."""

from artune.cli import main

main()
