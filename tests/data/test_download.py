"""Downloads, from a server on this machine."""

import hashlib
import http.server
import threading

import pytest

from cl_engine.data.download import download
from cl_engine.data.official import Official
from cl_engine.data.samples import DataError

CONTENT = bytes(range(256)) * 5000
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/missing":
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[: 1000 if self.path == "/short" else None])

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


def test_a_download_is_what_was_asked_for_and_is_told_on_standard_error(tmp_path, server, capsys):
    path = tmp_path / "deep" / "er" / "a.bin"
    download(f"{server}/a.bin", path, MD5)
    assert path.read_bytes() == CONTENT
    assert [*path.parent.iterdir()] == [path]
    said = capsys.readouterr()
    assert said.out == ""
    assert "a.bin" in said.err


@pytest.mark.parametrize(
    ("where", "md5", "complaint"),
    [
        ("/missing", MD5, "404"),
        ("/short", MD5, "."),
        ("/a.bin", "0" * 32, f"came with MD5 {MD5}; allowed: 0000"),
    ],
)
def test_nothing_is_left_of_a_download_that_fails(tmp_path, server, where, md5, complaint):
    with pytest.raises(DataError, match=complaint) as raised:
        download(server + where, tmp_path / "a.bin", md5)
    assert "\n" not in str(raised.value)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("url", ["http://example.org/a", "ftp://example.org/a", "file:///etc/passwd", "a"])
def test_only_https_is_spoken_abroad(tmp_path, url):
    with pytest.raises(DataError, match="allowed: https"):
        download(url, tmp_path / "a", MD5)


def test_nobody_listening_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"could not be downloaded: .*allowed: try again, or bring it to"):
        download("http://127.0.0.1:9/a", tmp_path / "a", MD5)


def test_an_official_file_is_fetched_only_when_asked_and_only_once(tmp_path, server):
    file = Official("a.bin", f"{server}/a.bin", "1.3 MB", MD5)
    with pytest.raises(DataError, match=r"there is no a\.bin"):
        file.found(tmp_path, fetch=False)
    path = file.found(tmp_path, fetch=True)
    before = path.stat().st_mtime_ns
    assert file.found(tmp_path, fetch=True).stat().st_mtime_ns == before
    path.write_bytes(b"damaged")
    with pytest.raises(DataError, match="damaged or another file"):
        file.found(tmp_path, fetch=True)
