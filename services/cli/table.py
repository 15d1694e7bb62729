"""Which word is whose: a command line of a service stays that service's, and is loaded only when asked for."""

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

EXIT_DONE: Final = 0
EXIT_REFUSED: Final = 1
EXIT_SETTINGS: Final = 2
EXIT_DEPENDENCY: Final = 3


@dataclass(frozen=True, slots=True)
class Command:
    """`module` has `run(arguments) -> exit code`; of whose image it is a part is said by its name."""

    module: str
    about: str


COMMANDS: Final = {
    "tenants": Command("services.console.cli", "companies: validate, diff, apply, history, rollback, schema"),
    "calls": Command("services.cli.calls", "calls: tail what happens, why one went where it went"),
    "replay": Command("services.cli.replay", "send an endpoint a part of the past once more, and watch it"),
    "erase": Command("services.cli.erase", "forget a person by number, in every service, and prove it"),
    "whatif": Command("services.router.whatif.cli", "a company's day once more, under another strategy or document"),
    "connector": Command("services.webhooks.connectors.cli", "connectors to CRMs, as data: new, check, list"),
    "topics": Command("services.cli.topics", "Kafka's topics: create, check"),
    "doctor": Command("services.cli.doctor", "ask every dependency, and say what is wrong"),
}


def run(arguments: list[str]) -> int:
    """Hand the arguments to whoever knows the first word."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(usage())
        return EXIT_DONE
    command = COMMANDS.get(arguments[0])
    if command is None:
        sys.stderr.write(f"There is no command {arguments[0]!r}.\n{usage()}")
        return EXIT_SETTINGS
    try:
        entry: Callable[[list[str]], int] = importlib.import_module(command.module).run
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"This image has no {arguments[0]}: {error.name} is not installed. The image `tools` has all.\n"
        )
        return EXIT_SETTINGS
    return entry(arguments[1:])


def usage() -> str:
    """Return all commands, one a line."""
    width = max(map(len, COMMANDS))
    lines = [f"  {word:<{width}}  {command.about}" for word, command in COMMANDS.items()]
    return "ringmaster COMMAND …\n\n" + "\n".join(lines) + "\n\nringmaster COMMAND --help says more.\n"
