"""What the router refuses an agent is said in the page's language."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3] / "services"
ROUTER = ROOT / "router" / "domain"
SOURCES = [ROUTER / "requests.py", ROUTER / "recording.py", *sorted((ROUTER / "control").glob("*.py"))]
# A refusal is its kind and a sentence.
REFUSAL = re.compile(r'"([a-z]+(?:-[a-z]+)+)", f?"[A-Z]')
NOT_ON_THE_PAGE = {"unknown-request", "unknown-mode", "unknown-control", "not-listening", "not-waiting", "same-queue"}
"""What a page can't ask for, and what supervisors ask."""


def test_every_refusal_of_the_router_is_known_to_the_agents_page() -> None:
    script = (ROOT / "console" / "page" / "words.js").read_text(encoding="utf-8")
    known = set(re.findall(r'"?([a-z-]+)"?: "', script.split("const PROBLEMS = {", 1)[1].split("\n};", 1)[0]))
    told = {kind for source in SOURCES for kind in REFUSAL.findall(source.read_text(encoding="utf-8"))}
    assert len(told) > 20
    assert told - NOT_ON_THE_PAGE <= known
