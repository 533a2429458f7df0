"""`python -m impasto`, the same as the command."""

from impasto.cli import main

main()
