import os
import shutil
import subprocess
import sys
from pathlib import Path
from string import Template

HERE = Path(__file__).parent
JARS = HERE / "target" / "jars"
# Any fixed id: the folder belongs to this one node.
CLUSTER_ID = "UmluZ21hc3Rlcmxvb3BiYQ"
DOWNLOAD_SECONDS = 600
INSTALL_SECONDS = 300
# Programs that Kafka needs, and their Debian packages. Maven only fetches: with the jars there it is not missed.
PACKAGES = {"java": "openjdk-17-jre-headless", "mvn": "maven"}
FORMAT_SECONDS = 60
# Java's second compiler makes a broker faster, and takes half a core for its first 40 seconds: not worth it to one that
# lives a minute. RINGMASTER_BROKER_COMPILER=1 leaves it out.
FIRST_COMPILER, BOTH_COMPILERS = "1", "4"
# A node looks for records that are too old half a minute after its start, and again each five minutes. Those of tests
# are of any day: one that is busy for half a minute would find them gone.
NOT_TODAY = "log.initial.task.delay.ms=86400000\n"


class BrokerMissing(Exception):
    """Kafka can't be had on this machine; the message says what to install. Caught by the local stack."""


def ensure_jars(*, may_install: bool = False) -> None:
    """Fetch Kafka's jars once, and before them Java and Maven where that is wanted and this is root on a Debian.

    Raises BrokerMissing with one sentence that says what to install; also where RINGMASTER_BROKER=fallback wants none.
    """
    if os.environ.get("RINGMASTER_BROKER") == "fallback":
        raise BrokerMissing("Kafka itself is not wanted here (RINGMASTER_BROKER=fallback).")
    has_jars = any(JARS.glob("kafka_2.13-*.jar"))
    for program, package in PACKAGES.items():
        if program == "mvn" and has_jars:
            return
        if shutil.which(program) is None and not (may_install and _install(package) and shutil.which(program)):
            raise BrokerMissing(f"{program} is missing, which Kafka needs: install it (Debian: {package}).")
    _fetch_jars()


def _install(package: str) -> bool:
    """Install a Debian package where this is root on a Debian; return whether that went well."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    sys.stdout.write(f"Installing the package {package} …\n")
    sys.stdout.flush()
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", package]
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            timeout=INSTALL_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _fetch_jars() -> None:
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
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=DOWNLOAD_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise BrokerMissing(f"Maven could not fetch Kafka's jars in {DOWNLOAD_SECONDS} s.") from error
    if done.returncode != 0:
        raise BrokerMissing("Maven could not fetch Kafka's jars: " + done.stdout.strip()[-300:])
    shutil.rmtree(JARS, ignore_errors=True)
    partial.rename(JARS)


def prepare(folder: Path, port: int, controller_port: int, *, forgets: bool = True) -> list[str]:
    """Write the node's configuration and format its folder once; return the command that starts it.

    One that never forgets keeps also records whose time has passed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data"
    properties = folder / "server.properties"
    template = Template((HERE / "server.properties.template").read_text(encoding="utf-8"))
    text = template.substitute(port=port, controller_port=controller_port, folder=data)
    properties.write_text(text if forgets else text + NOT_TODAY, encoding="utf-8")
    if not (data / "meta.properties").exists():
        arguments = ["format", "-t", CLUSTER_ID, "-c", str(properties)]
        subprocess.run(
            [*_java("64m", FIRST_COMPILER), "kafka.tools.StorageTool", *arguments],
            check=True,
            capture_output=True,
            timeout=FORMAT_SECONDS,
        )
    compiler = os.environ.get("RINGMASTER_BROKER_COMPILER", BOTH_COMPILERS)
    return [*_java("384m", compiler), "kafka.Kafka", str(properties)]


def _java(heap: str, compiler: str) -> list[str]:
    return [
        "java",
        f"-Xmx{heap}",
        "-XX:+UseSerialGC",
        f"-XX:TieredStopAtLevel={compiler}",
        f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
        "-cp",
        f"{JARS}/*",
    ]
