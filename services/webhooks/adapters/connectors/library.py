from functools import lru_cache
from pathlib import Path
from typing import Final

import yaml

from services.webhooks.domain.connectors.description import BadConnector, Connector, connector_of

FOLDER: Final = Path(__file__).resolve().parents[2]
CONNECTORS: Final = FOLDER / "connectors"
GATEWAYS: Final = FOLDER / "gateways"


def read_connector(path: Path) -> Connector:
    """Read one file. Raises BadConnector."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadConnector(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise BadConnector(f"{path} is not YAML: {str(error).splitlines()[0]}") from error
    connector = connector_of(document)
    if connector.name != path.stem:
        raise BadConnector(f"{path} describes {connector.name}: name the file after it")
    return connector


@lru_cache(maxsize=8)
def library(*folders: Path) -> dict[str, Connector]:
    """Return every connector of some folders by its name; later folders win. Raises BadConnector."""
    found = [read_connector(path) for folder in folders for path in sorted(folder.glob("*.yaml"))]
    return {connector.name: connector for connector in found}
