"""`python -m gangda`."""

from gangda.cli.main import app

if __name__ == "__main__":
    app(prog_name="gangda")
