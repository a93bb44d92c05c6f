"""`python -m gangda`."""

from gangda.cli.main import main

if __name__ == "__main__":
    main()
