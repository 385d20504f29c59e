"""`python -m segray`."""

from segray.cli import main

main()
