"""`python -m reportgen_cli` is `rg`, where another program (ripgrep) has that name."""

from reportgen_cli.main import main

if __name__ == "__main__":
    main()
