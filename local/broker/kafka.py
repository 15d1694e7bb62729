import shutil
import subprocess
from pathlib import Path
from string import Template

HERE = Path(__file__).parent
JARS = HERE / "target" / "jars"
# Any fixed id: the folder belongs to this one node.
CLUSTER_ID = "UmluZ21hc3Rlcmxvb3BiYQ"
DOWNLOAD_SECONDS = 600
FORMAT_SECONDS = 60


class BrokerMissing(Exception):
    """Kafka can't be had on this machine; the message says what to install. Caught by the local stack."""


def ensure_jars() -> None:
    """Fetch Kafka's jars once. Raises BrokerMissing with one sentence that says what to install."""
    if shutil.which("java") is None:
        raise BrokerMissing("Java is missing: install a Java 17 runtime (Debian: openjdk-17-jre-headless)")
    if any(JARS.glob("kafka_2.13-*.jar")):
        return
    if shutil.which("mvn") is None:
        raise BrokerMissing("Maven is missing: install it (Debian: maven)")
    partial = JARS.with_name("jars.partial")
    command = [
        "mvn",
        "-q",
        "-B",
        "-f",
        str(HERE / "pom.xml"),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={partial}",
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS)
    if done.returncode != 0:
        raise BrokerMissing("Maven could not fetch Kafka's jars: " + done.stdout.strip()[-300:])
    shutil.rmtree(JARS, ignore_errors=True)
    partial.rename(JARS)


def prepare(folder: Path, port: int, controller_port: int) -> list[str]:
    """Write the node's configuration and format its folder once; return the command that starts it."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data"
    properties = folder / "server.properties"
    template = Template((HERE / "server.properties.template").read_text(encoding="utf-8"))
    properties.write_text(
        template.substitute(port=port, controller_port=controller_port, folder=data), encoding="utf-8"
    )
    if not (data / "meta.properties").exists():
        arguments = ["format", "-t", CLUSTER_ID, "-c", str(properties)]
        subprocess.run(
            [*_java("64m"), "kafka.tools.StorageTool", *arguments],
            check=True,
            capture_output=True,
            timeout=FORMAT_SECONDS,
        )
    return [*_java("384m"), "kafka.Kafka", str(properties)]


def _java(heap: str) -> list[str]:
    return [
        "java",
        f"-Xmx{heap}",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=4",
        f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
        "-cp",
        f"{JARS}/*",
    ]
