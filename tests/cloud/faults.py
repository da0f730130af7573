"""A TCP proxy that does to a server's answers what networks and broken servers do."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit


class FaultProxy:
    """Stands between a client and `url`. `fault` is looked at for each connection and answer.

    none | refuse | drop (close at once) | blackhole (accept, never answer) | truncate:N (cut the answer after N bytes)
    | slow (a byte now and then) | flip:N (invert byte N of the answer's body) | status:N (answer N for the server)
    | garbage | longer (claim a longer body) | twice (send the request to the server twice)
    """

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self._target = (where.hostname or "", where.port or 80)
        self.fault = "none"
        self.only = ""  # a method: leave the answers to others alone
        self.requests = 0
        self.stopping = threading.Event()
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(100)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Close everything."""
        self.stopping.set()
        self._listener.close()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            while request := read_message(client):
                self.requests += 1
                mine = request.startswith(self.only.encode())
                kind, _, number = (self.fault if mine else "none").partition(":")
                if kind == "drop":
                    return
                if kind == "blackhole":
                    self.stopping.wait(60)
                    return
                if kind == "status":
                    client.sendall(f"HTTP/1.1 {number} Fault\r\nContent-Length: 0\r\n\r\n".encode())
                    continue
                if kind == "garbage":
                    client.sendall(b"\x00\xff not http at all\r\n\r\n")
                    return
                answer = b""
                for _ in range(2 if kind == "twice" else 1):
                    answer = self._forward(request)
                if not self._reply(client, kind, number, answer):
                    return

    def _forward(self, request: bytes) -> bytes:
        with socket.create_connection(self._target, timeout=20) as server:
            server.sendall(request)
            return read_message(server, head=request.startswith(b"HEAD"))

    def _reply(self, client: socket.socket, kind: str, number: str, answer: bytes) -> bool:
        head, _, body = answer.partition(b"\r\n\r\n")
        if kind == "truncate":
            client.sendall(answer[: int(number)])
            return int(number) >= len(answer)
        if kind == "slow":
            for i in range(len(answer)):
                client.sendall(answer[i : i + 1])
                if self.stopping.wait(0.2):
                    return False
            return True
        if kind == "flip" and body:
            changed = bytearray(body)
            changed[int(number) % len(body)] ^= 0x41
            answer = head + b"\r\n\r\n" + bytes(changed)
        if kind == "longer":
            answer = head.replace(b"content-length: ", b"content-length: 9") + b"\r\n\r\n" + body
            client.sendall(answer)
            return False
        client.sendall(answer)
        return True


def read_message(line: socket.socket, *, head: bool = False) -> bytes:
    """One HTTP message with Content-Length, b"" at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = line.recv(65_536)
        if not piece:
            return data
        data += piece
    top, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for field in top.split(b"\r\n")[1:]:
        name, _, value = field.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    if head or top.startswith((b"HTTP/1.1 204", b"HTTP/1.1 304")):
        return data
    pieces = [body]
    have = len(body)
    while have < length:
        piece = line.recv(1 << 20)
        if not piece:
            break
        pieces.append(piece)
        have += len(piece)
    return top + b"\r\n\r\n" + b"".join(pieces)
