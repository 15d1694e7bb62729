"""The recordings' API and page in a process of their own, before a true object store and document store.

Its argument is one JSON object. It stores the recordings of a folder first, and says when it listens.
"""

from gevent import monkey

monkey.patch_all()

# ruff: noqa: E402 - the sockets must be gevent's before anything imports them
import json
import sys
from pathlib import Path
from typing import Any

from gevent.pywsgi import WSGIServer

from services.recorder.adapters.folder import list_folder
from services.recorder.adapters.listeners import Listeners
from services.recorder.adapters.mongo import RecordingDocuments
from services.recorder.adapters.own_files import Notes
from services.recorder.adapters.s3 import ObjectStore
from services.recorder.api.admission import admission
from services.recorder.api.page import read_pages
from services.recorder.api.recordings import Shelf, recordings_api
from services.recorder.api.shared import shared_api
from services.recorder.domain.backoff import Stillness
from services.recorder.domain.form import Form
from services.recorder.domain.naming import CallNote
from services.recorder.domain.policy import Policy
from services.recorder.ports import World
from services.recorder.storing import Limits, Storing
from services.shared.access import tokens_of
from services.shared.chassis.admission import answer_refusals
from services.shared.chassis.clock import Clock
from services.shared.chassis.page_routes import page_routes
from services.shared.chassis.web import service_app
from tests.unit.recorder.fakes import MemoryAnnouncements, OnePolicy


def main(given: dict[str, Any]) -> None:
    """Store, then serve until killed."""
    store = ObjectStore(given["endpoint"], given["bucket"], given["access_key"], given["secret_key"], "us-east-1")
    documents, root = RecordingDocuments(given["mongodb_uri"]), Path(given["root"])
    world = World(store, documents, MemoryAnnouncements(), OnePolicy(Policy(form=Form.OPUS)))
    storing = Storing(root, world, Clock(), Limits(0.0, 1024**3, "fs-1"), Stillness())
    for waiting in list_folder(root, 100).waiting:
        Notes(root).keep(waiting.location, CallNote(given["queue_id"], given["agent_id"], given["caller"], ""))
        storing.store(waiting.location)
    for transcript in given["transcripts"]:
        documents.database["transcripts"].insert_one(transcript)
    shelf, pages = Shelf(documents, store, Listeners(documents.database), Clock().now_us), read_pages()
    tokens = tokens_of(given["tokens"])
    app = service_app("recorder", lambda: (True, ""))
    answer_refusals(app)
    for blueprint in (recordings_api(shelf, tokens), shared_api(shelf, pages), page_routes(admission(tokens), pages)):
        app.register_blueprint(blueprint)
    server = WSGIServer(("127.0.0.1", given["port"]), app, log=None)
    server.start()
    sys.stdout.write("listens\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
