"""Who else is on this machine, another user or a page in the browser, runs nothing through its Kaggle."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from kaggle_fixtures import StartKaggle
from sdk_client import push_fields

import local_kaggle
from local_kaggle.state import Settings

NOBODY = 65534
PUSH = "/api/v1/kernels.KernelsApiService/SaveKernel"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OTHER_USER = """
import json, os, pathlib, sys, urllib.error, urllib.request
address, server, body = sys.argv[1:]
told = [os.getuid()]
place = pathlib.Path("/proc", server)
told.append(place.joinpath("cmdline").read_text())
try:
    told.append(place.joinpath("environ").read_text())
except PermissionError:
    told.append("refused")
for token in ("", "rehearsal", "0" * 32, "f" * 32, "tester", "None"):
    headers = {"Authorization": "Bearer " + token} if token else {}
    try:
        urllib.request.urlopen(urllib.request.Request(address, body.encode(), headers), timeout=10)
        told.append(200)
    except urllib.error.HTTPError as error:
        told.append(error.code)
print(json.dumps(told))
"""
PAGE = """<script>
async function attack([address, body, token]) {
  const ways = {
    simple: {mode: "no-cors", headers: {"Content-Type": "text/plain"}},
    login: {mode: "no-cors", credentials: "include"},
    token: {headers: {"Authorization": "Bearer " + token, "Content-Type": "application/json"}},
  };
  const told = {};
  for (const [name, way] of Object.entries(ways))
    told[name] = await fetch(address, {method: "POST", body, ...way}).then(a => a.type, () => "blocked");
  const frame = document.body.appendChild(document.createElement("iframe"));
  frame.name = "hidden";
  const form = document.body.appendChild(document.createElement("form"));
  Object.assign(form, {method: "POST", action: address, enctype: "text/plain", target: "hidden"});
  form.appendChild(Object.assign(document.createElement("input"), {name: body, value: ""}));
  await new Promise(done => { frame.onload = done; form.submit(); setTimeout(done, 3000); });
  return told;
}
</script><body>"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be two users without help")
def test_another_user_runs_nothing(tmp_path: Path, competition_folder: Path) -> None:
    """It reaches the port, but the token stands where it cannot read: in the server's environment."""
    root, token = tmp_path / "root", Settings().token
    command = [sys.executable, "-m", "local_kaggle", "--root", str(root)]
    command += ["--competition", str(competition_folder)]
    paths = {"PYTHONPATH": str(Path(local_kaggle.__file__).parents[1]), "LOCAL_KAGGLE_TOKEN": token}
    with subprocess.Popen(command, env=os.environ | paths, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().split()[-1]
            python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
            body = json.dumps(push_fields(text="open('/tmp/owned', 'w')"))
            attack = [python or sys.executable, "-c", OTHER_USER, url + PUSH, str(server.pid), body]
            said = subprocess.run(
                attack, cwd="/", env={}, user=NOBODY, group=NOBODY, extra_groups=[], capture_output=True,
                text=True, timeout=60, check=False,
            )  # fmt: skip
        finally:
            server.terminate()
    if said.returncode == 126 or "Permission denied" in said.stderr:
        pytest.skip("no Python that another user may start")
    uid, arguments, environment, *answers = json.loads(said.stdout or said.stderr)
    assert (uid, environment) == (NOBODY, "refused")
    assert set(answers) <= {401, 403}
    assert token not in arguments
    assert not list(root.glob("kernels/*/*"))
    assert not [path for path in root.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on PATH")
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_page_of_another_origin_gets_nothing(start_kaggle: StartKaggle) -> None:
    """Neither by a simple request, nor with the token, nor by a form, nor under a name that leads here."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    token = Settings().token
    kaggle = start_kaggle(token=token)
    port = int(kaggle.url.rpartition(":")[2])

    class Evil(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE.encode())

    body = json.dumps(push_fields(text="print('owned')"))
    answers: list[int] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Evil) as evil:
        threading.Thread(target=evil.serve_forever, daemon=True).start()
        with playwright.sync_playwright() as driver:
            rules = "--host-resolver-rules=MAP evil.example 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
            browser = driver.chromium.launch(executable_path=CHROMIUM, args=[rules, "--no-proxy-server"])
            page = browser.new_page()
            page.on("response", lambda one: answers.append(one.status) if one.url.endswith(PUSH) else None)
            for origin in (f"http://127.0.0.1:{evil.server_port}", f"http://evil.example:{evil.server_port}"):
                page.goto(origin)
                for name in ("127.0.0.1", "evil.example"):
                    told = page.evaluate("attack", [f"http://{name}:{port}{PUSH}", body, token])
                    assert set(told.values()) <= {"opaque", "blocked"}
            page.goto(f"http://evil.example:{port}{PUSH}")
            browser.close()
        evil.shutdown()
    assert kaggle.state.kernels == []
    assert len(answers) > 4, "the attack does not arrive"
    assert set(answers) <= {403, 501}
    kaggle.unknown_requests.clear()
