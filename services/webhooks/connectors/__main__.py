import sys

from services.webhooks.connectors.cli import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
